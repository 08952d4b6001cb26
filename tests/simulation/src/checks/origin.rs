//! Where a record comes from: the command that a client submitted, found by its key or by its content.

use ledger::{
    Action, Command, CreateExpiringKey, CreateKey, CreateSeller, CreditApproved, CreditRejected, DecideCredit, Event,
    ExpiringKeyCreated, KeyCreated, KeyRevoked, KeyRotated, Record, RevokeKey, RotateKey, SellerCreated,
    SellerStatusSet, SetSellerStatus,
};

/// The command of a client that may have made a record: its operation, and its place there.
#[derive(Clone, Copy)]
pub struct CommandOrigin {
    pub op: usize,
    pub place: usize,
}

pub fn content(command: &Command) -> String {
    format!("{} {:?}", command.actor, command.action)
}

/// Commands without a key are found again by their content.
pub fn keyless_content(record: &Record) -> Option<String> {
    let action = match &record.event {
        Event::SellerCreated(SellerCreated { name }) => Action::CreateSeller(CreateSeller { name: name.clone() }),
        Event::SellerStatusSet(SellerStatusSet { seller, status, .. }) => {
            Action::SetSellerStatus(SetSellerStatus { seller: *seller, status: *status })
        }
        Event::KeyCreated(KeyCreated { name, grant, hash }) => {
            Action::CreateKey(CreateKey { name: name.clone(), grant: *grant, hash: *hash })
        }
        Event::ExpiringKeyCreated(ExpiringKeyCreated { key: KeyCreated { name, grant, hash }, expires_at }) => {
            let key = CreateKey { name: name.clone(), grant: *grant, hash: *hash };
            Action::CreateExpiringKey(CreateExpiringKey { key, expires_at: *expires_at })
        }
        Event::KeyRotated(KeyRotated { old, hash, overlap_ms, expires_at, .. }) => {
            let (key, hash, overlap_ms, expires_at) = (*old, *hash, *overlap_ms, *expires_at);
            Action::RotateKey(RotateKey { key, hash, overlap_ms, expires_at })
        }
        Event::KeyRevoked(KeyRevoked { key }) => Action::RevokeKey(RevokeKey { key: *key }),
        Event::CreditApproved(CreditApproved { request, reason, .. }) => Action::DecideCredit(DecideCredit {
            request: request.number,
            verdict: ledger::Verdict::Approved,
            reason: reason.clone(),
        }),
        Event::CreditRejected(CreditRejected { request, reason }) => Action::DecideCredit(DecideCredit {
            request: request.number,
            verdict: ledger::Verdict::Rejected,
            reason: reason.clone(),
        }),
        Event::Genesis(_)
        | Event::CreditRequested(_)
        | Event::Adjusted(_)
        | Event::Charged(_)
        | Event::Reversed(_)
        | Event::Refused(_)
        | Event::NodeRegistered(_)
        | Event::RulesRaised(_)
        | Event::NodeAdded(_)
        | Event::NodePromoted(_)
        | Event::NodeRemoved(_)
        | Event::EpochBegun(_)
        | Event::LedgerOpened(_)
        | Event::BackupNoted(_)
        | Event::CreditRequestedFor(_)
        | Event::PolicySet(_) => return None,
    };
    Some(format!("{} {action:?}", record.actor))
}
