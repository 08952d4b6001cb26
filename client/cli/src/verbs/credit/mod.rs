//! `etebar credit-requests` and `etebar adjust`.

mod review;

use etebar::CreditRequestFilter;
use etebar::api::{CreditRequest, MAX_PAGE, NewAdjustment, NewCreditRequest, NewDecision};

use super::journal;
use crate::arguments::{Adjust, CreditRequests};
use crate::lists::{self, Listed};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::{credit_status, replay_note};
use crate::output::{money, or_dash, sheet};
use crate::session::Session;

pub(crate) async fn run(session: &Session, verb: CreditRequests) -> Result<(), CliError> {
    let client = &session.client;
    let (answer, done) = match verb {
        CreditRequests::Create { amount, seller, note, reference, once } => {
            let key = once.key()?;
            let (note, reference) = (note.map(Into::into), reference.map(Into::into));
            let new = NewCreditRequest { amount, note, reference, seller_id: seller };
            let answer = session.write(Some(&key), client.request_credit(&new, &key)).await?;
            (answer, Done::new("the credit request is filed").under(&key))
        }
        CreditRequests::Review => return review::run(session).await,
        CreditRequests::Show { id } => {
            let request = client.credit_request(id).await?.value;
            return session.output.either(&request, || shown(&request));
        }
        CreditRequests::Approve { id, reason } => {
            let verdict = NewDecision { reason: reason.map(Into::into) };
            (session.write(None, client.approve(id, &verdict)).await?, Done::new("the credit request is approved"))
        }
        CreditRequests::Reject { id, reason } => {
            let verdict = NewDecision { reason: reason.map(Into::into) };
            (session.write(None, client.reject(id, &verdict)).await?, Done::new("the credit request is rejected"))
        }
        CreditRequests::List { status, seller, listing } => {
            let filter = CreditRequestFilter { status: status.map(Into::into), seller };
            return lists::print(session, client.credit_requests_list(filter, MAX_PAGE), &listing).await;
        }
    };
    let request = &answer.value;
    let text = || format!("{}{}", shown(request), replay_note(answer.replayed));
    session.report(request, text, || done.id(request.id))
}

pub(crate) async fn adjust(session: &Session, verb: Adjust) -> Result<(), CliError> {
    let new = NewAdjustment { amount: verb.amount, reason: verb.reason.into() };
    let key = verb.once.key()?;
    let answer = session.write(Some(&key), session.client.adjust(verb.seller, &new, &key)).await?;
    let done = || Done::new("the adjustment is done").id(answer.value.reference).under(&key);
    journal::report_entry(session, &answer, done)
}

impl Listed for CreditRequest {
    const HEAD: &'static [&'static str] =
        &["id", "seller", ">amount", "status", "created at", "decided at", "decided by", "reference", "note"];
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "seller_id",
        "amount",
        "note",
        "reference",
        "status",
        "created_at",
        "decided_at",
        "decided_by",
        "reason",
    ];

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            self.seller_id.to_string().into(),
            money(self.amount),
            credit_status(self.status),
            self.created_at.to_string().into(),
            or_dash(self.decided_at).into(),
            or_dash(self.decided_by.as_ref()).into(),
            or_dash(self.reference.as_ref()).into(),
            or_dash(self.note.as_ref()).into(),
        ]
    }
}

fn shown(request: &CreditRequest) -> String {
    sheet(&[
        ("id", request.id.to_string().into()),
        ("seller", request.seller_id.to_string().into()),
        ("amount", money(request.amount)),
        ("note", or_dash(request.note.as_ref()).into()),
        ("reference", or_dash(request.reference.as_ref()).into()),
        ("status", credit_status(request.status)),
        ("created at", request.created_at.to_string().into()),
        ("decided at", or_dash(request.decided_at).into()),
        ("decided by", or_dash(request.decided_by.as_ref()).into()),
        ("reason", or_dash(request.reason.as_ref()).into()),
    ])
}
