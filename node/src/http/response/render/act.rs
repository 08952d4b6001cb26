//! An administrative act, rendered from its record.

use etebar_api as api;
use etebar_api::ActKind;
use ledger::{Action, Event, Grant, IdKind, Name, Record, RecordNumber, Refused, RequestShown, SellerStatus, Verdict};
use uuid::Uuid;

use super::{LedgerInfo, note, refusal, role, timestamp};

/// The act that a record is; `None` for what only sellers do, and for what nodes do by themselves. `actor` is the name of the key
/// that acted.
pub(crate) fn act(info: &LedgerInfo, record: &Record, actor: &str) -> Option<api::Act> {
    let bare = |kind| bare(info, record, actor, kind);
    let member = |kind, node| api::Act { member: Some(node), ..bare(kind) };
    let verdict = |kind, request: &RequestShown, reason| api::Act {
        credit_request_id: Some(info.ids.uuid(IdKind::CreditRequest, request.number)),
        amount: Some(info.amount(request.amount.plus())),
        reason: note(reason),
        ..bare(kind)
    };
    Some(match &record.event {
        Event::Genesis(_) => bare(ActKind::LedgerCreated),
        Event::SellerCreated(made) => api::Act {
            seller_id: Some(info.seller_id(record.number)),
            name: Some(made.name.as_str().to_owned()),
            ..bare(ActKind::SellerCreated)
        },
        Event::SellerStatusSet(set) => bare(status_kind(set.status)),
        Event::KeyCreated(made) => key(info, bare(ActKind::KeyCreated), &made.name, made.grant),
        Event::ExpiringKeyCreated(made) => key(info, bare(ActKind::KeyCreated), &made.key.name, made.key.grant),
        Event::KeyRotated(made) => key(info, bare(ActKind::KeyRotated), &made.name, made.grant),
        Event::KeyRevoked(revoked) => {
            api::Act { key_id: Some(info.ids.uuid(IdKind::Key, revoked.key)), ..bare(ActKind::KeyRevoked) }
        }
        Event::CreditRequestedFor(filed) => api::Act {
            credit_request_id: Some(info.ids.uuid(IdKind::CreditRequest, record.number)),
            amount: Some(info.amount(filed.request.amount.plus())),
            reason: note(&filed.request.note),
            ..bare(ActKind::CreditRequested)
        },
        Event::CreditApproved(done) => verdict(ActKind::CreditApproved, &done.request, &done.reason),
        Event::CreditRejected(done) => verdict(ActKind::CreditRejected, &done.request, &done.reason),
        Event::Adjusted(done) => {
            let amount = Some(info.amount(done.amount.minor()));
            api::Act { amount, reason: note(&done.reason), ..bare(ActKind::Adjusted) }
        }
        Event::Reversed(done) => api::Act {
            charge_id: Some(info.ids.uuid(IdKind::Charge, done.charge)),
            amount: Some(info.amount(done.amount.plus())),
            reason: note(&done.reason),
            ..bare(ActKind::ChargeReversed)
        },
        Event::Refused(refused) => refused_act(info, refused, bare)?,
        Event::RulesRaised(_) => bare(ActKind::RulesRaised),
        Event::NodeAdded(added) => member(ActKind::MemberAdded, added.node),
        Event::NodePromoted(promoted) => member(ActKind::MemberPromoted, promoted.node),
        Event::NodeRemoved(removed) => member(ActKind::MemberRemoved, removed.node),
        Event::EpochBegun(_) => bare(ActKind::EpochBegun),
        Event::LedgerOpened(_) => bare(ActKind::LedgerOpened),
        Event::BackupNoted(_) => bare(ActKind::BackupVerified),
        Event::PolicySet(set) => api::Act { four_eyes: Some(set.policy.four_eyes), ..bare(ActKind::PolicySet) },
        Event::CreditRequested(_) | Event::Charged(_) | Event::NodeRegistered(_) => return None,
    })
}

/// An act of this kind: what all acts have.
fn bare(info: &LedgerInfo, record: &Record, actor: &str, kind: ActKind) -> api::Act {
    api::Act {
        record: record.number,
        created_at: timestamp(record.time),
        actor: actor.to_owned(),
        node: record.origin.as_ref().map(|origin| origin.node),
        address: record.origin.as_ref().map(|origin| origin.address),
        kind,
        refused: None,
        seller_id: record.seller().map(|seller| info.seller_id(seller)),
        key_id: None,
        credit_request_id: None,
        charge_id: None,
        entry: record.movement().map(|movement| movement.entry_number),
        amount: None,
        name: None,
        role: None,
        reason: None,
        member: None,
        four_eyes: None,
    }
}

/// The key that this act's record made.
fn key(info: &LedgerInfo, act: api::Act, name: &Name, grant: Grant) -> api::Act {
    let (role, seller) = role(grant);
    let key_id = Some(info.ids.uuid(IdKind::Key, act.record));
    let seller_id = seller.map(|seller| info.seller_id(seller));
    api::Act { key_id, name: Some(name.as_str().to_owned()), role: Some(role), seller_id, ..act }
}

fn status_kind(status: SellerStatus) -> ActKind {
    match status {
        SellerStatus::Active => ActKind::SellerActivated,
        SellerStatus::Suspended => ActKind::SellerSuspended,
    }
}

/// What was asked and refused under an idempotency key.
fn refused_act(info: &LedgerInfo, refused: &Refused, bare: impl Fn(ActKind) -> api::Act) -> Option<api::Act> {
    let id = |kind, number: RecordNumber| -> Option<Uuid> { Some(info.ids.uuid(kind, number)) };
    let named = |kind, name: &Name| api::Act { name: Some(name.as_str().to_owned()), ..bare(kind) };
    let member = |kind, node| api::Act { member: Some(node), ..bare(kind) };
    let seller = |act: api::Act, seller| api::Act { seller_id: Some(info.seller_id(seller)), ..act };
    let asked = match &refused.action {
        Action::CreateSeller(asked) => named(ActKind::SellerCreated, &asked.name),
        Action::SetSellerStatus(asked) => seller(bare(status_kind(asked.status)), asked.seller),
        Action::CreateKey(asked) => named(ActKind::KeyCreated, &asked.name),
        Action::CreateExpiringKey(asked) => named(ActKind::KeyCreated, &asked.key.name),
        Action::RotateKey(asked) => api::Act { key_id: id(IdKind::Key, asked.key), ..bare(ActKind::KeyRotated) },
        Action::RevokeKey(asked) => api::Act { key_id: id(IdKind::Key, asked.key), ..bare(ActKind::KeyRevoked) },
        Action::RequestCreditFor(asked) => {
            let amount = Some(info.amount(asked.request.amount.plus()));
            seller(api::Act { amount, ..bare(ActKind::CreditRequested) }, asked.seller)
        }
        Action::DecideCredit(asked) => {
            let kind = match asked.verdict {
                Verdict::Approved => ActKind::CreditApproved,
                Verdict::Rejected => ActKind::CreditRejected,
            };
            api::Act { credit_request_id: id(IdKind::CreditRequest, asked.request), ..bare(kind) }
        }
        Action::Adjust(asked) => {
            let (amount, reason) = (Some(info.amount(asked.amount.minor())), note(&asked.reason));
            seller(api::Act { amount, reason, ..bare(ActKind::Adjusted) }, asked.seller)
        }
        Action::Reverse(asked) => {
            let (charge_id, reason) = (id(IdKind::Charge, asked.charge), note(&asked.reason));
            api::Act { charge_id, reason, ..bare(ActKind::ChargeReversed) }
        }
        Action::AddNode(_) => bare(ActKind::MemberAdded),
        Action::PromoteNode(asked) => member(ActKind::MemberPromoted, asked.node),
        Action::RemoveNode(asked) => member(ActKind::MemberRemoved, asked.node),
        Action::OpenLedger(_) => bare(ActKind::LedgerOpened),
        Action::NoteBackup(_) => bare(ActKind::BackupVerified),
        Action::SetPolicy(asked) => api::Act { four_eyes: Some(asked.policy.four_eyes), ..bare(ActKind::PolicySet) },
        Action::Genesis(_)
        | Action::RequestCredit(_)
        | Action::Charge(_)
        | Action::RegisterNode(_)
        | Action::RaiseRules(_)
        | Action::BeginEpoch(_) => return None,
    };
    Some(api::Act { refused: Some(refusal(info, refused.refusal).code), ..asked })
}
