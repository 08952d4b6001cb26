//! The decision, one pure function: a state, what a command needs of old records, the command, and the leader's stamp.
//!
//! Order of checks, the same for every command: authorisation, key replay, then those of its kind ([`crate::commands`]):
//! existence, state, limits, balance. Invariants: a rejected command leaves no trace, ledger time included. Every
//! [`Outcome::New`] applies, whatever was asked by whom: a record that [`State::apply`] does not take would stop all
//! replicas, permanently.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::commands::kind::{Case, NoEvent, Role};
use crate::commands::{Action, Command, Event, Refused};
use crate::record::Record;
use crate::refusal::Rejection;
use crate::state::State;
use crate::state::api_key::{ApiKey, Grant};
use crate::values::ids::{RecordNumber, SYSTEM_ACTOR, Time};

/// Old records that were read for commands, by number.
#[derive(Debug, Clone, Default)]
pub struct Facts(BTreeMap<RecordNumber, Arc<Record>>);

impl Facts {
    /// Adds a record. The last one of a number counts.
    pub fn add(&mut self, record: Arc<Record>) {
        self.0.insert(record.number, record);
    }

    /// The record of this number, where it was added.
    pub fn get(&self, number: RecordNumber) -> Option<&Arc<Record>> {
        self.0.get(&number)
    }

    fn require(&self, number: RecordNumber) -> Result<&Record, Missing> {
        self.0.get(&number).map(Arc::as_ref).ok_or(Missing(number))
    }
}

/// Deciding a command needs the record of this number, which the facts lack. It exists in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing(pub RecordNumber);

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Decided now: to be applied and kept. A recorded refusal is one too.
    New(Record),
    /// Decided before, by this record, which is among the facts; nothing moves.
    Replay(RecordNumber),
    /// Not done, and no trace is left.
    Rejected(Rejection),
}

/// Decides `command` at the larger of the state's time and `stamp`. Where it says [`Missing`], add that record to the
/// facts and decide again: on one state, at one stamp, a command needs one record, and rarely one or two more, which only
/// seemed to hold its key.
///
/// [`Rejection::Inconsistent`] is for the node alone, which must not go on: what it read contradicts its state.
pub fn decide(state: &State, facts: &Facts, command: &Command, stamp: Time) -> Result<Outcome, Missing> {
    let key = match authorise(state, command) {
        Ok(key) => key,
        Err(rejection) => return Ok(Outcome::Rejected(rejection)),
    };
    let subject = match look_up(state, facts, command, stamp)? {
        Found::Decided(record) if command.action.is_answered_by(&record.event) => {
            return Ok(Outcome::Replay(record.number));
        }
        Found::Decided(_) => return Ok(Outcome::Rejected(Rejection::KeyReused)),
        Found::Open { subject } => subject.map(|record| (record.at(), &record.event)),
    };
    let event = match command.action.judge(&Case { state, key }, subject) {
        Ok(event) => event,
        Err(NoEvent::Done(number)) => return facts.require(number).map(|record| Outcome::Replay(record.number)),
        Err(NoEvent::Rejected(rejection)) => return Ok(Outcome::Rejected(rejection)),
        Err(NoEvent::Refused(refusal)) if command.idempotency_key.is_none() => {
            return Ok(Outcome::Rejected(Rejection::Conflict(refusal)));
        }
        Err(NoEvent::Refused(refusal)) => Event::Refused(Refused { action: command.action.clone(), refusal }),
    };
    Ok(Outcome::New(Record {
        number: state.records().saturating_add(1),
        time: state.time_at(stamp),
        actor: command.actor,
        idempotency_key: command.idempotency_key.clone(),
        event,
    }))
}

/// The next record that [`decide`] would say is missing, found without deciding: to read, before the state is locked, what
/// many commands need. For a command that is rejected for its actor it may name one that is not needed.
pub fn missing(state: &State, facts: &Facts, command: &Command, stamp: Time) -> Option<Missing> {
    look_up(state, facts, command, stamp).err()
}

/// What old records say of a command.
enum Found<'a> {
    /// Its idempotency key was decided by this record.
    Decided(&'a Record),
    /// It has no decision yet. The subject is the record that it is about, where it names one.
    Open { subject: Option<&'a Record> },
}

fn look_up<'a>(state: &State, facts: &'a Facts, command: &Command, stamp: Time) -> Result<Found<'a>, Missing> {
    if let (Some(key), Some(actor)) = (&command.idempotency_key, state.api_key(command.actor)) {
        for number in state.candidates(actor.scope(), key, stamp) {
            let record = facts.require(number)?;
            if state.is_decision(record, actor.scope(), key, stamp) {
                return Ok(Found::Decided(record));
            }
        }
    }
    let subject = command.action.kind().subject(state).map(|number| facts.require(number)).transpose()?;
    Ok(Found::Open { subject })
}

/// Whether the actor may have this decided; with its API key, where it is not the cluster itself.
fn authorise<'a>(state: &'a State, command: &Command) -> Result<Option<&'a ApiKey>, Rejection> {
    if state.genesis().is_some() == matches!(command.action, Action::Genesis(_)) {
        return Err(Rejection::OutOfPlace);
    }
    let role = command.action.kind().role();
    if command.actor == SYSTEM_ACTOR {
        return match role {
            // An idempotency key is remembered in the scope of an API key, and here is none.
            _ if command.idempotency_key.is_some() => Err(Rejection::Malformed),
            Role::System => Ok(None),
            Role::Admin | Role::Seller => Err(Rejection::Forbidden),
        };
    }
    let is_active = |key: &&ApiKey| key.revoked_by.is_none();
    let key = state.api_key(command.actor).filter(is_active).ok_or(Rejection::KeyRevoked)?;
    let is_allowed = match role {
        Role::System => false,
        Role::Admin => key.grant == Grant::Admin,
        Role::Seller => matches!(key.grant, Grant::Seller(_)),
    };
    if is_allowed { Ok(Some(key)) } else { Err(Rejection::Forbidden) }
}
