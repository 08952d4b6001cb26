//! The rules. One pure function: a state, what a command needs of old records, the command, and the leader's stamp.
//!
//! Order of checks, the same for every command: authorisation, key replay, existence, state, limits, balance.
//! Invariants: what is refused without a record leaves no trace, ledger time included. Every [`Outcome::New`] applies,
//! whatever was asked by whom: a record that [`State::apply`] does not take would stop all replicas, for good.

use crate::amount::{Balance, Immovable};
use crate::command::{Action, Command, Grant, SellerStatus, Verdict};
use crate::ids::{RecordNumber, SYSTEM_ACTOR, Time};
use crate::record::{Event, Record, Refusal, RequestShown};
use crate::state::{ApiKey, State};

/// Numbers of the records that [`decide`] must be given for a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The decision that the command's key stands for already.
    pub replay: Option<RecordNumber>,
    /// The credit request to be decided, or the charge to be reversed.
    pub subject: Option<RecordNumber>,
}

/// The records asked for by [`Needs`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// See [`Needs::replay`].
    pub replay: Option<&'a Record>,
    /// See [`Needs::subject`].
    pub subject: Option<&'a Record>,
}

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Decided now: to be applied and kept. A recorded refusal is one too.
    New(Record),
    /// Decided before, by this record; nothing moves.
    Replay(RecordNumber),
    /// Not done, and no trace is left.
    Refused(Rejection),
}

/// Why nothing was done and nothing is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Rejection {
    /// The key that acts is revoked or was never made.
    KeyRevoked,
    /// The key that acts may not do this.
    Forbidden,
    /// There is no such seller.
    UnknownSeller,
    /// There is no such API key.
    UnknownKey,
    /// There is no such credit request.
    UnknownRequest,
    /// There is no such charge.
    UnknownCharge,
    /// The idempotency key stands for another command.
    KeyReused,
    /// The state forbids it, and the command has no key under which that could be remembered.
    Conflict(Refusal),
    /// The ledger has not begun, or has begun already.
    OutOfPlace,
    /// The caller did not bring the records that [`needs`] asked for: a defect of the node.
    FactsMissing,
    /// Another API key has the same secret's hash, so the secret was not drawn by chance: a defect of the node.
    SecretTaken,
    /// No request becomes such a command: a defect of the node, or a peer that is none.
    Malformed,
}

/// Which old records `command` needs. `stamp` is the one that [`decide`] will get.
pub fn needs(state: &State, command: &Command, stamp: Time) -> Needs {
    let replay = state.decision_of(command, stamp);
    let subject = match &command.action {
        Action::DecideCredit { request, .. } => state.is_pending(*request).then_some(*request),
        Action::Reverse { charge, .. } => (*charge >= 1 && *charge <= state.records()).then_some(*charge),
        Action::Genesis(_)
        | Action::CreateSeller { .. }
        | Action::SetSellerStatus { .. }
        | Action::CreateKey { .. }
        | Action::RevokeKey { .. }
        | Action::RequestCredit { .. }
        | Action::Adjust { .. }
        | Action::Charge { .. }
        | Action::RegisterNode { .. } => None,
    };
    Needs { replay, subject }
}

/// Decides `command` at the larger of the state's time and `stamp`.
pub fn decide(state: &State, facts: &Facts<'_>, command: &Command, stamp: Time) -> Outcome {
    if let Err(rejection) = authorise(state, command) {
        return Outcome::Refused(rejection);
    }
    if let Some(number) = state.decision_of(command, stamp) {
        return replay(facts, command, number);
    }
    let event = match judge(state, facts, command) {
        Ok(event) => event,
        Err(No::Before(number)) => return Outcome::Replay(number),
        Err(No::Rejected(rejection)) => return Outcome::Refused(rejection),
        Err(No::Forbidden(refusal)) if command.idempotency_key.is_none() => {
            return Outcome::Refused(Rejection::Conflict(refusal));
        }
        Err(No::Forbidden(refusal)) => Event::Refused { action: command.action.clone(), refusal },
    };
    Outcome::New(Record {
        number: state.records().saturating_add(1),
        time: state.time_at(stamp),
        actor: command.actor,
        idempotency_key: command.idempotency_key.clone(),
        event,
    })
}

/// Why a command makes no event.
enum No {
    /// It was done before, by this record.
    Before(RecordNumber),
    /// Nothing is remembered.
    Rejected(Rejection),
    /// The state forbids it.
    Forbidden(Refusal),
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Forbidden(refusal)
    }
}

impl From<Rejection> for No {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

fn authorise(state: &State, command: &Command) -> Result<(), Rejection> {
    if state.genesis().is_some() == matches!(command.action, Action::Genesis(_)) {
        return Err(Rejection::OutOfPlace);
    }
    if command.actor == SYSTEM_ACTOR {
        // An idempotency key is remembered in the scope of an API key, and here is none.
        if command.idempotency_key.is_some() {
            return Err(Rejection::Malformed);
        }
        return match &command.action {
            Action::Genesis(genesis) if !genesis.is_sound() => Err(Rejection::Malformed),
            Action::Genesis(_) | Action::RegisterNode { .. } => Ok(()),
            Action::CreateSeller { .. }
            | Action::SetSellerStatus { .. }
            | Action::CreateKey { .. }
            | Action::RevokeKey { .. }
            | Action::RequestCredit { .. }
            | Action::DecideCredit { .. }
            | Action::Adjust { .. }
            | Action::Charge { .. }
            | Action::Reverse { .. } => Err(Rejection::Forbidden),
        };
    }
    let key = active_key(state, command)?;
    let allowed = match &command.action {
        Action::RequestCredit { .. } | Action::Charge { .. } => matches!(key.grant, Grant::Seller(_)),
        Action::CreateSeller { .. }
        | Action::SetSellerStatus { .. }
        | Action::CreateKey { .. }
        | Action::RevokeKey { .. }
        | Action::DecideCredit { .. }
        | Action::Adjust { .. }
        | Action::Reverse { .. } => key.grant == Grant::Admin,
        Action::Genesis(_) | Action::RegisterNode { .. } => false,
    };
    if allowed { Ok(()) } else { Err(Rejection::Forbidden) }
}

fn active_key<'a>(state: &'a State, command: &Command) -> Result<&'a ApiKey, Rejection> {
    let is_good = |key: &&ApiKey| key.revoked_by.is_none();
    state.api_key(command.actor).filter(is_good).ok_or(Rejection::KeyRevoked)
}

fn replay(facts: &Facts<'_>, command: &Command, number: RecordNumber) -> Outcome {
    match facts.replay {
        Some(record) if record.number == number && record.has_content(&command.action) => Outcome::Replay(number),
        Some(record) if record.number == number => Outcome::Refused(Rejection::KeyReused),
        Some(_) | None => Outcome::Refused(Rejection::FactsMissing),
    }
}

fn judge(state: &State, facts: &Facts<'_>, command: &Command) -> Result<Event, No> {
    match &command.action {
        Action::Genesis(genesis) => Ok(Event::Genesis(genesis.clone())),
        Action::CreateSeller { name } => Ok(Event::SellerCreated { name: name.clone() }),
        Action::SetSellerStatus { seller, status } => {
            let found = state.seller(*seller).ok_or(Rejection::UnknownSeller)?;
            Ok(Event::SellerStatusSet {
                seller: *seller,
                status: *status,
                name: found.name.clone(),
                balance: found.balance,
                created_at: found.created_at,
            })
        }
        Action::CreateKey { name, grant, hash } => {
            if let Grant::Seller(seller) = grant {
                state.seller(*seller).ok_or(Rejection::UnknownSeller)?;
            }
            if state.is_name_active(name) {
                return Err(Refusal::NameTaken.into());
            }
            // Those of revoked keys too: a secret that was withdrawn must not come back under another grant.
            if state.api_key_by_hash(hash).is_some() {
                return Err(Rejection::SecretTaken.into());
            }
            Ok(Event::KeyCreated { name: name.clone(), grant: *grant, hash: *hash })
        }
        Action::RevokeKey { key } => judge_revocation(state, *key),
        Action::RequestCredit { amount, note } => {
            let seller = acting_seller(state, command)?;
            Ok(Event::CreditRequested { seller, amount: *amount, note: note.clone() })
        }
        Action::DecideCredit { .. } => judge_credit(state, facts, command),
        Action::Adjust { .. } => judge_adjustment(state, command),
        Action::Charge { .. } => judge_charge(state, command),
        Action::Reverse { .. } => judge_reversal(state, facts, command),
        Action::RegisterNode { node, incarnation } => {
            if state.incarnation(*node).is_some() {
                return Err(Rejection::OutOfPlace.into());
            }
            Ok(Event::NodeRegistered { node: *node, incarnation: *incarnation })
        }
    }
}

/// The seller whose key acts, where it is not suspended.
fn acting_seller(state: &State, command: &Command) -> Result<RecordNumber, No> {
    let Grant::Seller(number) = active_key(state, command)?.grant else {
        return Err(Rejection::Forbidden.into());
    };
    match state.seller(number).ok_or(Rejection::UnknownSeller)?.status {
        SellerStatus::Active => Ok(number),
        SellerStatus::Suspended => Err(Refusal::SellerSuspended.into()),
    }
}

fn judge_revocation(state: &State, number: RecordNumber) -> Result<Event, No> {
    let key = state.api_key(number).ok_or(Rejection::UnknownKey)?;
    if let Some(record) = key.revoked_by {
        return Err(No::Before(record));
    }
    if key.grant == Grant::Admin && state.active_admin_keys() <= 1 {
        return Err(Refusal::LastAdminKey.into());
    }
    Ok(Event::KeyRevoked { key: number })
}

fn judge_credit(state: &State, facts: &Facts<'_>, command: &Command) -> Result<Event, No> {
    let Action::DecideCredit { request, verdict, reason } = &command.action else {
        return Err(Rejection::OutOfPlace.into());
    };
    if let Some((record, before)) = state.verdict(*request) {
        return if before == *verdict {
            Err(No::Before(record))
        } else {
            Err(Refusal::RequestDecided { verdict: before }.into())
        };
    }
    if !state.is_pending(*request) {
        return Err(Rejection::UnknownRequest.into());
    }
    let Some(Record { event: Event::CreditRequested { seller, amount, note }, time, number, .. }) = facts.subject
    else {
        return Err(Rejection::FactsMissing.into());
    };
    if number != request {
        return Err(Rejection::FactsMissing.into());
    }
    let shown =
        RequestShown { number: *number, seller: *seller, amount: *amount, note: note.clone(), created_at: *time };
    match verdict {
        Verdict::Rejected => Ok(Event::CreditRejected { request: shown, reason: reason.clone() }),
        Verdict::Approved => {
            let before = state.seller(*seller).ok_or(Rejection::UnknownSeller)?.balance;
            let balance = before.credited(*amount).ok_or(Refusal::LimitExceeded)?;
            let entry = next_entry(state);
            Ok(Event::CreditApproved { request: shown, reason: reason.clone(), entry, balance })
        }
    }
}

fn judge_adjustment(state: &State, command: &Command) -> Result<Event, No> {
    let Action::Adjust { seller, amount, reason } = &command.action else {
        return Err(Rejection::OutOfPlace.into());
    };
    let before = state.seller(*seller).ok_or(Rejection::UnknownSeller)?.balance;
    let balance = before.adjusted(*amount).map_err(|immovable| match immovable {
        Immovable::BelowZero => Refusal::InsufficientCredit { balance: before },
        Immovable::OverLimit => Refusal::LimitExceeded,
    })?;
    Ok(Event::Adjusted { seller: *seller, amount: *amount, reason: reason.clone(), entry: next_entry(state), balance })
}

fn judge_charge(state: &State, command: &Command) -> Result<Event, No> {
    let Action::Charge { phone, amount } = command.action else {
        return Err(Rejection::OutOfPlace.into());
    };
    let seller = acting_seller(state, command)?;
    let sold = state.phone(phone).map_or(Balance::ZERO, |account| account.balance);
    sold.credited(amount).ok_or(Refusal::LimitExceeded)?;
    let before = state.seller(seller).ok_or(Rejection::UnknownSeller)?.balance;
    let balance = before.charged(amount).ok_or(Refusal::InsufficientCredit { balance: before })?;
    Ok(Event::Charged { seller, phone, amount, entry: next_entry(state), balance })
}

fn judge_reversal(state: &State, facts: &Facts<'_>, command: &Command) -> Result<Event, No> {
    let Action::Reverse { charge, reason } = &command.action else {
        return Err(Rejection::OutOfPlace.into());
    };
    if *charge == 0 || *charge > state.records() {
        return Err(Rejection::UnknownCharge.into());
    }
    let subject = facts.subject.filter(|record| record.number == *charge).ok_or(Rejection::FactsMissing)?;
    let Event::Charged { seller, phone, amount, .. } = &subject.event else {
        return Err(Rejection::UnknownCharge.into());
    };
    if state.reversal(*charge).is_some() {
        return Err(Refusal::ChargeReversed.into());
    }
    // Charges that are not reversed add up to what the phone holds, so where it holds less this was no such charge.
    let sold = state.phone(*phone).and_then(|account| account.balance.charged(*amount));
    sold.ok_or(Rejection::FactsMissing)?;
    let before = state.seller(*seller).ok_or(Rejection::UnknownSeller)?.balance;
    let balance = before.credited(*amount).ok_or(Refusal::LimitExceeded)?;
    Ok(Event::Reversed {
        charge: *charge,
        seller: *seller,
        phone: *phone,
        amount: *amount,
        reason: reason.clone(),
        entry: next_entry(state),
        balance,
    })
}

fn next_entry(state: &State) -> u64 {
    state.entries().saturating_add(1)
}
