//! The answer to a command, rendered from the record of its decision: status and body.
//!
//! What a record does not hold itself is a function of its number: the actor's name, and the digest of its entry.

use axum::http::StatusCode;
use etebar_api as api;
use ledger::{Balance, Digest, Event, IdKind, Note, Record, RecordNumber, Time, Verdict};
use serde::Serialize;

use super::{ChargeWriter, LedgerInfo, entry, moment, note, refusal, role, status};

/// What an answer shows besides the record.
#[derive(Debug, Default)]
pub struct Shown<'a> {
    /// The name of the key that acted.
    pub actor: &'a str,
    /// The secret of a key made just now; a replay has none.
    pub secret: Option<String>,
    /// The digest of the entry that the record made.
    pub digest: Option<Digest>,
}

/// Status and body of the answer; `None` where no request of the API makes such a record.
pub fn decision(info: &LedgerInfo, record: &Record, shown: Shown<'_>) -> Option<(StatusCode, Vec<u8>)> {
    match &record.event {
        Event::SellerCreated { name } => created(&api::Seller {
            id: info.seller_id(record.number),
            name: name.as_str().to_owned(),
            status: api::SellerStatus::Active,
            balance: info.amount(Balance::ZERO.signed()),
            created_at: moment(record.time),
        }),
        Event::SellerStatusSet { seller, status: now, name, balance, created_at } => ok(&api::Seller {
            id: info.seller_id(*seller),
            name: name.as_str().to_owned(),
            status: status(*now),
            balance: info.amount(balance.signed()),
            created_at: moment(*created_at),
        }),
        Event::KeyCreated { name, grant, hash: _ } => {
            let (role, seller) = role(*grant);
            created(&api::Key {
                id: info.ids.uuid(IdKind::Key, record.number),
                role,
                name: name.as_str().to_owned(),
                seller_id: seller.map(|number| info.seller_id(number)),
                key: shown.secret,
                created_at: moment(record.time),
            })
        }
        Event::KeyRevoked { .. } => Some((StatusCode::NO_CONTENT, Vec::new())),
        Event::CreditRequested { .. } => created(&credit_request(info, record)?),
        Event::CreditApproved { .. } | Event::CreditRejected { .. } => {
            ok(&credit_request_decided(info, record, shown.actor)?)
        }
        Event::Adjusted { .. } | Event::Reversed { .. } => {
            let made = record.entry(&info.ids, shown.actor)?;
            created(&entry(info, &made, &shown.digest?))
        }
        Event::Charged { .. } => {
            let mut body = Vec::with_capacity(super::charge::CHARGE_BYTES);
            ChargeWriter::new(*info).write(&mut body, record).then_some((StatusCode::CREATED, body))
        }
        Event::Refused { refusal: why, .. } => json(StatusCode::CONFLICT, &refusal(info, *why)),
        Event::Genesis(_) | Event::NodeRegistered { .. } => None,
    }
}

fn created(body: &impl Serialize) -> Option<(StatusCode, Vec<u8>)> {
    json(StatusCode::CREATED, body)
}

fn ok(body: &impl Serialize) -> Option<(StatusCode, Vec<u8>)> {
    json(StatusCode::OK, body)
}

fn json(status: StatusCode, body: &impl Serialize) -> Option<(StatusCode, Vec<u8>)> {
    serde_json::to_vec(body).ok().map(|bytes| (status, bytes))
}

/// A credit request as it was filed; `None` where the record files none.
pub fn credit_request(info: &LedgerInfo, record: &Record) -> Option<api::CreditRequest> {
    let Event::CreditRequested { seller, amount, note: said } = &record.event else { return None };
    Some(pending(info, record.number, *seller, *amount, said, record.time))
}

/// A credit request as its verdict left it; `None` where the record is no verdict.
pub fn credit_request_decided(info: &LedgerInfo, verdict: &Record, actor: &str) -> Option<api::CreditRequest> {
    let (request, reason, way) = match &verdict.event {
        Event::CreditApproved { request, reason, .. } => (request, reason, Verdict::Approved),
        Event::CreditRejected { request, reason } => (request, reason, Verdict::Rejected),
        Event::Genesis(_)
        | Event::SellerCreated { .. }
        | Event::SellerStatusSet { .. }
        | Event::KeyCreated { .. }
        | Event::KeyRevoked { .. }
        | Event::CreditRequested { .. }
        | Event::Adjusted { .. }
        | Event::Charged { .. }
        | Event::Reversed { .. }
        | Event::Refused { .. }
        | Event::NodeRegistered { .. } => return None,
    };
    let filed = pending(info, request.number, request.seller, request.amount, &request.note, request.created_at);
    Some(api::CreditRequest {
        status: match way {
            Verdict::Approved => api::RequestStatus::Approved,
            Verdict::Rejected => api::RequestStatus::Rejected,
        },
        decided_at: Some(moment(verdict.time)),
        decided_by: Some(actor.to_owned()),
        reason: note(reason),
        ..filed
    })
}

fn pending(
    info: &LedgerInfo,
    number: RecordNumber,
    seller: RecordNumber,
    amount: ledger::Amount,
    said: &Note,
    filed_at: Time,
) -> api::CreditRequest {
    api::CreditRequest {
        id: info.ids.uuid(IdKind::CreditRequest, number),
        seller_id: info.seller_id(seller),
        amount: info.amount(amount.plus()),
        note: note(said),
        status: api::RequestStatus::Pending,
        created_at: moment(filed_at),
        decided_at: None,
        decided_by: None,
        reason: None,
    }
}
