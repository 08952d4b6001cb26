//! `etebar credit-requests` and `etebar adjust`.

use crate::api::{CreditRequest, NewAdjustment, NewCreditRequest, RequestStatus, Verdict};
use crate::client::CreditRequestFilter;

use super::super::arguments::{Adjust, CreditRequests};
use super::super::output::{grouped, or_dash, sheet};
use super::super::stop::Stop;
use super::{Session, journal, print_list, replay_note};

pub(super) async fn run(session: &Session, verb: CreditRequests) -> Result<(), Stop> {
    let client = &session.client;
    let answer = match verb {
        CreditRequests::Create { amount, note, once } => {
            let new = NewCreditRequest { amount, note: note.map(Into::into) };
            client.request_credit(&new, &once.key()?).await?
        }
        CreditRequests::Show { id } => client.credit_request(id).await?,
        CreditRequests::Approve { id, reason } => {
            client.approve(id, &Verdict { reason: reason.map(Into::into) }).await?
        }
        CreditRequests::Reject { id, reason } => client.reject(id, &Verdict { reason: reason.map(Into::into) }).await?,
        CreditRequests::List { status, seller, listing } => {
            let filter = CreditRequestFilter { status: status.map(Into::into), seller };
            let head = ["id", "seller", ">amount", "status", "created at", "decided at", "decided by"];
            return print_list(session, client.credit_requests_list(filter, listing.page()), &listing, &head, row)
                .await;
        }
    };
    session.output.either(&answer.value, || format!("{}{}", shown(&answer.value), replay_note(answer.replayed)))
}

pub(super) async fn adjust(session: &Session, verb: Adjust) -> Result<(), Stop> {
    let new = NewAdjustment { amount: verb.amount, reason: verb.reason.into() };
    let answer = session.client.adjust(verb.seller, &new, &verb.once.key()?).await?;
    journal::print_entry(session, &answer)
}

fn row(request: &CreditRequest) -> Vec<String> {
    vec![
        request.id.to_string(),
        request.seller_id.to_string(),
        grouped(request.amount),
        status(request.status).to_owned(),
        request.created_at.to_string(),
        or_dash(request.decided_at),
        or_dash(request.decided_by.as_ref()),
    ]
}

fn shown(request: &CreditRequest) -> String {
    sheet(&[
        ("id", request.id.to_string()),
        ("seller", request.seller_id.to_string()),
        ("amount", grouped(request.amount)),
        ("note", or_dash(request.note.as_ref())),
        ("status", status(request.status).to_owned()),
        ("created at", request.created_at.to_string()),
        ("decided at", or_dash(request.decided_at)),
        ("decided by", or_dash(request.decided_by.as_ref())),
        ("reason", or_dash(request.reason.as_ref())),
    ])
}

fn status(status: RequestStatus) -> &'static str {
    match status {
        RequestStatus::Pending => "pending",
        RequestStatus::Approved => "approved",
        RequestStatus::Rejected => "rejected",
    }
}
