//! The answer to a command, rendered from the record of its decision: status and body.
//!
//! What a record does not hold itself is a function of it: the name of its actor, and the digest of its entry.

use axum::http::StatusCode;
use etebar_api as api;
use ledger::{
    Amount, Balance, CreditRequested, Digest, Event, ExpiringKeyCreated, IdKind, Note, Record, RecordNumber, Reference,
    Time,
};
use serde::Serialize;

use super::{ChargeWriter, LedgerInfo, entry, note, refusal, status, text_of, timestamp};

/// The answer to a command, as far as its record alone gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rendered {
    /// Status and body.
    Whole(StatusCode, Vec<u8>),
    /// 200 with a credit request, which shows who decided it: [`verdict`].
    Verdict,
    /// 201 with a journal entry, which shows who acted, and its digest: [`entry_made`].
    Entry,
}

/// The answer to the command of this record; `None` where no request of the API makes such a record. `secret` is that of a
/// key made just now; a replay has none.
pub(crate) fn decision(info: &LedgerInfo, record: &Record, secret: Option<String>) -> Option<Rendered> {
    match &record.event {
        Event::SellerCreated(created) => json(
            StatusCode::CREATED,
            &api::Seller {
                id: info.seller_id(record.number),
                name: created.name.as_str().to_owned(),
                status: api::SellerStatus::Active,
                balance: info.amount(Balance::ZERO.signed()),
                created_at: timestamp(record.time),
            },
        ),
        Event::SellerStatusSet(set) => json(
            StatusCode::OK,
            &api::Seller {
                id: info.seller_id(set.seller),
                name: set.name.as_str().to_owned(),
                status: status(set.status),
                balance: info.amount(set.balance.signed()),
                created_at: timestamp(set.created_at),
            },
        ),
        Event::KeyCreated(_) | Event::ExpiringKeyCreated(_) | Event::KeyRotated(_) => key_made(info, record, secret),
        Event::KeyRevoked(_) => Some(Rendered::Whole(StatusCode::NO_CONTENT, Vec::new())),
        Event::PolicySet(set) => json(StatusCode::OK, &api::Policy { four_eyes: set.policy.four_eyes }),
        Event::CreditRequested(_) | Event::CreditRequestedFor(_) => {
            json(StatusCode::CREATED, &credit_request(info, record)?)
        }
        Event::CreditApproved(_) | Event::CreditRejected(_) => Some(Rendered::Verdict),
        Event::Adjusted(_) | Event::Reversed(_) => Some(Rendered::Entry),
        Event::Charged(_) => {
            let mut body = Vec::with_capacity(super::charge::CHARGE_BYTES);
            let is_written = ChargeWriter::new(info).write(&mut body, record);
            is_written.then_some(Rendered::Whole(StatusCode::CREATED, body))
        }
        Event::Refused(refused) => json(StatusCode::CONFLICT, &refusal(info, refused.refusal)),
        // What became of a node, and of a hold, is shown by the cluster.
        Event::Genesis(_)
        | Event::NodeRegistered(_)
        | Event::RulesRaised(_)
        | Event::NodeAdded(_)
        | Event::NodePromoted(_)
        | Event::NodeRemoved(_)
        | Event::EpochBegun(_)
        | Event::LedgerOpened(_)
        | Event::BackupNoted(_) => None,
    }
}

/// The answer to a command that made a key.
fn key_made(info: &LedgerInfo, record: &Record, secret: Option<String>) -> Option<Rendered> {
    let key = |name, grant, expires_at| api::Key {
        key: secret,
        ..info.key_made(record.number, name, grant, (record.time, expires_at))
    };
    match &record.event {
        Event::KeyCreated(made) => json(StatusCode::CREATED, &key(&made.name, made.grant, None)),
        Event::ExpiringKeyCreated(ExpiringKeyCreated { key: made, expires_at }) => {
            json(StatusCode::CREATED, &key(&made.name, made.grant, Some(*expires_at)))
        }
        Event::KeyRotated(made) => json(
            StatusCode::CREATED,
            &api::RotatedKey {
                key: key(&made.name, made.grant, made.expires_at),
                replaces: info.ids.uuid(IdKind::Key, made.old),
                old_expires_at: timestamp(made.old_expires_at),
            },
        ),
        _ => None,
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Option<Rendered> {
    serde_json::to_vec(body).ok().map(|bytes| Rendered::Whole(status, bytes))
}

/// The body of [`Rendered::Verdict`]; `None` where the record is no verdict.
pub(crate) fn verdict(info: &LedgerInfo, record: &Record, actor: &str) -> Option<Vec<u8>> {
    serde_json::to_vec(&credit_request_decided(info, record, actor)?).ok()
}

/// The body of [`Rendered::Entry`]; `None` where the record moved no money.
pub(crate) fn entry_made(info: &LedgerInfo, record: &Record, actor: &str, digest: &Digest) -> Option<Vec<u8>> {
    let made = record.entry(&info.ids, actor)?;
    serde_json::to_vec(&entry(info, &made, digest)).ok()
}

/// A credit request as it was filed; `None` where the record files none.
pub(crate) fn credit_request(info: &LedgerInfo, record: &Record) -> Option<api::CreditRequest> {
    let filed = match &record.event {
        Event::CreditRequested(filed) => filed,
        Event::CreditRequestedFor(filed) => &filed.request,
        _ => return None,
    };
    let CreditRequested { seller, amount, note, reference } = filed;
    Some(pending(info, record.number, (*seller, *amount, note, reference.as_ref()), record.time))
}

/// A credit request as its verdict left it; `None` where the record is no verdict.
pub(crate) fn credit_request_decided(info: &LedgerInfo, verdict: &Record, actor: &str) -> Option<api::CreditRequest> {
    let (request, reason, status) = if let Event::CreditApproved(approved) = &verdict.event {
        (&approved.request, &approved.reason, api::RequestStatus::Approved)
    } else if let Event::CreditRejected(rejected) = &verdict.event {
        (&rejected.request, &rejected.reason, api::RequestStatus::Rejected)
    } else {
        return None;
    };
    let asked = (request.seller, request.amount, &request.note, request.reference.as_ref());
    Some(api::CreditRequest {
        status,
        decided_at: Some(timestamp(verdict.time)),
        decided_by: Some(actor.to_owned()),
        reason: note(reason),
        ..pending(info, request.number, asked, request.created_at)
    })
}

fn pending(
    info: &LedgerInfo,
    number: RecordNumber,
    (seller, amount, said, reference): (RecordNumber, Amount, &Note, Option<&Reference>),
    filed_at: Time,
) -> api::CreditRequest {
    api::CreditRequest {
        id: info.ids.uuid(IdKind::CreditRequest, number),
        seller_id: info.seller_id(seller),
        amount: info.amount(amount.plus()),
        note: note(said),
        reference: text_of(reference),
        status: api::RequestStatus::Pending,
        created_at: timestamp(filed_at),
        decided_at: None,
        decided_by: None,
        reason: None,
    }
}
