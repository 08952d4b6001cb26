//! Credit requests: a seller's request for more credit, approved or rejected once.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use etebar_api as api;
use etebar_api::NewCreditRequest;
use ledger::{
    Action, Concluded, Conclusion, DecideCredit, IdKind, RecordNumber, RequestCredit, RequestCreditFor, Verdict,
};
use uuid::Uuid;

use crate::http::app::App;
use crate::http::read::records::{self, RecordReader};
use crate::http::request::body::{self, Call, Faults};
use crate::http::request::cursor::List;
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::{render, reply};
use crate::http::{read, submit};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/credit-requests", post(create).get(list))
        .route("/v1/credit-requests/{id}", get(show))
        .route("/v1/credit-requests/{id}/approve", post(approve))
        .route("/v1/credit-requests/{id}/reject", post(reject))
}

/// `POST /v1/credit-requests`
async fn create(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    let is_seller = caller.must_be_seller().is_ok();
    if !is_seller {
        caller.must_decide_credit()?;
    }
    let key = call.head.idempotency_key()?;
    let decimals = app.ledger_info()?.decimals;
    let body = call.json(&app, caller.key).await?;
    let asked: NewCreditRequest<'_> = body.parse()?;
    let mut faults = Faults::default();
    let amount = faults.at(|| "/amount".into(), body::amount(asked.amount, decimals));
    let note = faults.at(|| "/note".into(), body::note(asked.note.as_deref()));
    let reference = faults.at(|| "/reference".into(), body::reference(asked.reference.as_deref()));
    let seller = faults.at(|| "/seller_id".into(), asked_for(&app, is_seller, asked.seller_id));
    let (Some(amount), Some(note), Some(reference), Some(seller)) = (amount, note, reference, seller) else {
        return Err(faults.problem());
    };
    let request = RequestCredit { amount, note, reference };
    let action = match seller.transpose()? {
        None => Action::RequestCredit(request),
        Some(seller) => Action::RequestCreditFor(RequestCreditFor { seller, request }),
    };
    submit::run(&app, caller, Some(key), action, call.head.deadline).await
}

/// The seller on whose behalf somebody asks; `None` where a seller asks for itself. The outer error is a body that does not fit
/// the caller, the inner one a seller that is not there.
fn asked_for(
    app: &App,
    is_seller: bool,
    asked: Option<Uuid>,
) -> Result<Option<Result<RecordNumber, Problem>>, &'static str> {
    match (is_seller, asked) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err("a seller asks for itself, and does not name a seller"),
        (false, Some(id)) => Ok(Some(read::seller_number(app, id))),
        (false, None) => {
            let detail = "a seller asks for itself; name the seller for which you ask in seller_id";
            Ok(Some(Err(Problem::new(api::Code::Forbidden, detail))))
        }
    }
}

/// `POST /v1/credit-requests/{id}/approve`
async fn approve(State(app): State<App>, call: Call) -> Answer {
    decide(app, call, Verdict::Approved).await
}

/// `POST /v1/credit-requests/{id}/reject`
async fn reject(State(app): State<App>, call: Call) -> Answer {
    decide(app, call, Verdict::Rejected).await
}

async fn decide(app: App, mut call: Call, verdict: Verdict) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_decide_credit()?;
    let request = number(&app, &call.head)?;
    let body = call.json_if_any(&app, caller.key).await?;
    let asked: api::NewDecision<'_> = body.parse_or_default()?;
    let reason = body::note(asked.reason.as_deref()).map_err(|error| Problem::invalid("/reason", error))?;
    let action = Action::DecideCredit(DecideCredit { request, verdict, reason });
    // No key: the request itself remembers its verdict, and gives it again.
    submit::run(&app, caller, None, action, call.head.deadline).await
}

/// `GET /v1/credit-requests/{id}`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let query = head.query(&[])?;
    let request = number(&app, &head)?;
    read::fresh(&app, &head, &query).await?;
    let (applied, records, is_pending) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.records(), replica.state.is_pending(request))
    };
    let found = records::reading(&app, move |reader| match status_at(reader, request, records)? {
        (api::RequestStatus::Pending, _) if !is_pending => Err(Problem::not_found()),
        (_, verdict) => shown(reader, request, verdict),
    });
    let (seller, shown) = found.await?;
    caller.must_see(seller)?;
    reply::json(applied, &shown)
}

/// `GET /v1/credit-requests`
async fn list(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let query = head.query(&["status", "seller_id", "limit", "after"])?;
    let status = status_of(query.get("status"))?;
    let seller = read::seller_filter(&app, &caller, &query)?;
    let seller_text = seller.map(|number| number.to_string());
    let list = List::new("credit-requests").with("status", query.get("status")).with("seller", seller_text.as_deref());
    let (after, limit) = (list.after(query.get("after"))?, query.limit()?);
    read::fresh(&app, &head, &query).await?;
    let permit = app.quotas.scans.take(caller.key, head.deadline).await?;
    let (applied, records, pending) = {
        let replica = read::state(&app, &caller)?;
        let state = &replica.state;
        seller.map_or(Ok(()), |seller| state.seller(seller).map(drop).ok_or_else(Problem::not_found))?;
        // The state knows those by themselves. One more than a page shows says whether there is a next one.
        let pending: Vec<_> = match (status, seller) {
            (Some(api::RequestStatus::Pending), Some(seller)) => {
                state.pending_of_seller_after(seller, after).take(limit + 1).collect()
            }
            (Some(api::RequestStatus::Pending), None) => state.pending_after(after).take(limit + 1).collect(),
            (Some(api::RequestStatus::Approved | api::RequestStatus::Rejected) | None, _) => Vec::new(),
        };
        (replica.applied, state.records(), pending)
    };
    let found = records::searching(&app, permit, move |reader| {
        let FoundRequests { requests, next } = match status {
            Some(api::RequestStatus::Pending) => FoundRequests::pending(pending, limit),
            Some(api::RequestStatus::Approved | api::RequestStatus::Rejected) | None => {
                let numbers = reader.requests_of(seller, after.saturating_add(1), SCAN_REQUESTS + 1)?;
                let numbers = numbers.into_iter().filter(|number| *number <= records);
                search(numbers.collect(), status, limit, |number| status_at(reader, number, records))?
            }
        };
        let shown = requests.into_iter().map(|(request, verdict)| shown(reader, request, verdict));
        let items = shown.map(|request| request.map(|(_, request)| request)).collect::<Result<Vec<_>, Problem>>()?;
        Ok((items, next))
    });
    let (items, next) = found.await?;
    reply::json(applied, &list.page(items, next))
}

/// Most requests that are looked at for a page; a longer search continues with the page's cursor. Source: whether one is
/// decided is a read of some 5 microseconds.
const SCAN_REQUESTS: usize = 1_024;

/// Requests that match, each with its verdict's record, and the number after which the search continues.
struct FoundRequests {
    requests: Vec<(RecordNumber, Option<RecordNumber>)>,
    next: Option<RecordNumber>,
}

impl FoundRequests {
    /// Of these requests without a verdict, those of one page.
    fn pending(mut numbers: Vec<RecordNumber>, limit: usize) -> Self {
        let more = numbers.len() > limit;
        numbers.truncate(limit);
        let next = numbers.last().copied().filter(|_| more);
        Self { requests: numbers.into_iter().map(|number| (number, None)).collect(), next }
    }
}

/// Looks through at most [`SCAN_REQUESTS`] of these requests; where there is one more, the search continues.
fn search(
    numbers: Vec<RecordNumber>,
    status: Option<api::RequestStatus>,
    limit: usize,
    status_at: impl Fn(RecordNumber) -> Result<(api::RequestStatus, Option<RecordNumber>), Problem>,
) -> Result<FoundRequests, Problem> {
    let mut requests = Vec::new();
    let mut last = None;
    for (seen, number) in numbers.into_iter().enumerate() {
        if seen == SCAN_REQUESTS {
            return Ok(FoundRequests { requests, next: last });
        }
        let (is, verdict) = status_at(number)?;
        if status.is_none_or(|status_filter| status_filter == is) {
            if requests.len() == limit {
                return Ok(FoundRequests { requests, next: last });
            }
            requests.push((number, verdict));
        }
        last = Some(number);
    }
    Ok(FoundRequests { requests, next: None })
}

/// The status of a request after `records` records, and its verdict's record; what is no request has none.
fn status_at(
    reader: &RecordReader,
    request: RecordNumber,
    records: RecordNumber,
) -> Result<(api::RequestStatus, Option<RecordNumber>), Problem> {
    let Some(Conclusion { record, how }) = reader.conclusion(request, records)? else {
        return Ok((api::RequestStatus::Pending, None));
    };
    match how {
        Concluded::Decided(Verdict::Approved) => Ok((api::RequestStatus::Approved, Some(record))),
        Concluded::Decided(Verdict::Rejected) => Ok((api::RequestStatus::Rejected, Some(record))),
        Concluded::Reversed => Err(Problem::not_found()),
    }
}

fn status_of(text: Option<&str>) -> Result<Option<api::RequestStatus>, Problem> {
    match text {
        None => Ok(None),
        Some("pending") => Ok(Some(api::RequestStatus::Pending)),
        Some("approved") => Ok(Some(api::RequestStatus::Approved)),
        Some("rejected") => Ok(Some(api::RequestStatus::Rejected)),
        Some(_) => Err(Problem::invalid("/status", "either pending, approved or rejected")),
    }
}

fn number(app: &App, head: &Head) -> Result<RecordNumber, Problem> {
    app.ledger_info()?.ids.number(IdKind::CreditRequest, head.id()?).ok_or_else(Problem::not_found)
}

/// A request with its seller's number: as its verdict left it, or as it was filed.
fn shown(
    reader: &RecordReader,
    request: RecordNumber,
    verdict: Option<RecordNumber>,
) -> Result<(RecordNumber, api::CreditRequest), Problem> {
    let record = reader.record(verdict.unwrap_or(request))?;
    let rendered = match verdict {
        Some(_) => render::credit_request_decided(&reader.info, &record, reader.actor(&record)?),
        None => render::credit_request(&reader.info, &record),
    };
    let seller = record.seller();
    rendered
        .zip(seller)
        .map(|(request, seller)| (seller, request))
        .ok_or_else(|| Problem::internal(format_args!("record {} is no credit request", record.number)))
}
