//! Credit requests: a seller's request for more credit, approved or rejected once.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use etebar_api as api;
use etebar_api::NewCreditRequest;
use ledger::{Action, DecideCredit, IdKind, RecordNumber, RequestCredit, Verdict};

use crate::http::app::App;
use crate::http::read::records::{self, PIECE, RecordReader};
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
    caller.must_be_seller()?;
    let key = call.head.idempotency_key()?;
    let decimals = app.ledger_info()?.decimals;
    let body = call.json(&app, caller.key).await?;
    let asked: NewCreditRequest<'_> = body.parse()?;
    let mut faults = Faults::default();
    let amount = faults.at(|| "/amount".into(), body::amount(asked.amount, decimals));
    let note = faults.at(|| "/note".into(), body::note(asked.note.as_deref()));
    let reference = faults.at(|| "/reference".into(), body::reference(asked.reference.as_deref()));
    let (Some(amount), Some(note), Some(reference)) = (amount, note, reference) else {
        return Err(faults.problem());
    };
    let action = Action::RequestCredit(RequestCredit { amount, note, reference });
    submit::run(&app, caller, Some(key), action, call.head.deadline).await
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
    caller.must_be_admin()?;
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
    let (applied, verdict) = {
        let replica = read::state(&app, &caller)?;
        let verdict = replica.state.verdict(request);
        if verdict.is_none() && !replica.state.is_pending(request) {
            return Err(Problem::not_found());
        }
        (replica.applied, verdict.map(|(record, _)| record))
    };
    let (seller, shown) = records::reading(&app, move |reader| shown(reader, request, verdict)).await?;
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
    let (applied, found) = {
        let replica = read::state(&app, &caller)?;
        let numbers = match seller {
            Some(number) => &replica.state.seller(number).ok_or_else(Problem::not_found)?.requests,
            None => replica.state.credit_requests(),
        };
        let begin = numbers.partition_point(|number| *number <= after);
        let verdict_of = |number| replica.state.verdict(number);
        (replica.applied, search(&numbers[begin..], status, limit, verdict_of))
    };
    let FoundRequests { requests, next } = found;
    let items = records::searching(&app, permit, move |reader| {
        let shown = requests.into_iter().map(|(request, verdict)| shown(reader, request, verdict));
        shown.map(|request| request.map(|(_, request)| request)).collect::<Result<Vec<_>, Problem>>()
    })
    .await?;
    reply::json(applied, &list.page(items, next))
}

/// Requests that match, each with its verdict's record, and the number after which the search continues.
struct FoundRequests {
    requests: Vec<(RecordNumber, Option<RecordNumber>)>,
    next: Option<RecordNumber>,
}

/// Looks at as many requests as the state is locked for at once; a longer search continues with the page's cursor.
fn search(
    numbers: &[RecordNumber],
    status: Option<api::RequestStatus>,
    limit: usize,
    verdict_of: impl Fn(RecordNumber) -> Option<(RecordNumber, Verdict)>,
) -> FoundRequests {
    let mut requests = Vec::new();
    let mut last = None;
    for number in numbers.iter().take(PIECE) {
        let verdict = verdict_of(*number);
        let is = match verdict.map(|(_, verdict)| verdict) {
            None => api::RequestStatus::Pending,
            Some(Verdict::Approved) => api::RequestStatus::Approved,
            Some(Verdict::Rejected) => api::RequestStatus::Rejected,
        };
        if status.is_none_or(|status_filter| status_filter == is) {
            if requests.len() == limit {
                return FoundRequests { requests, next: last };
            }
            requests.push((*number, verdict.map(|(record, _)| record)));
        }
        last = Some(*number);
    }
    let next = last.filter(|_| numbers.len() > PIECE);
    FoundRequests { requests, next }
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
