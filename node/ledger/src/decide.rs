//! The decision, one pure function: a state, what a command needs of old records, the command, and the leader's stamp.
//!
//! Order of checks, the same for every command: authorisation, key replay, then those of its kind ([`crate::commands`]):
//! existence, state, limits, balance. Invariants: a rejected command leaves no trace, ledger time included. Every
//! [`Outcome::New`] applies, whatever was asked by whom: a record that [`State::apply`] does not take would stop all
//! replicas, permanently.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::commands::kind::{Context, Denial, RequiredRole};
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
    let event = match command.action.evaluate(&Context { state, key }, subject) {
        Ok(event) => event,
        Err(Denial::Done(number)) => return facts.require(number).map(|record| Outcome::Replay(record.number)),
        Err(Denial::Rejected(rejection)) => return Ok(Outcome::Rejected(rejection)),
        Err(Denial::Refused(refusal)) if command.idempotency_key.is_none() => {
            return Ok(Outcome::Rejected(Rejection::Conflict(refusal)));
        }
        Err(Denial::Refused(refusal)) => Event::Refused(Refused { action: command.action.clone(), refusal }),
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
            RequiredRole::System => Ok(None),
            RequiredRole::Admin | RequiredRole::Seller => Err(Rejection::Forbidden),
        };
    }
    let is_active = |key: &&ApiKey| key.revoked_by.is_none();
    let key = state.api_key(command.actor).filter(is_active).ok_or(Rejection::KeyRevoked)?;
    let is_allowed = match role {
        RequiredRole::System => false,
        RequiredRole::Admin => key.grant == Grant::Admin,
        RequiredRole::Seller => matches!(key.grant, Grant::Seller(_)),
    };
    if is_allowed { Ok(Some(key)) } else { Err(Rejection::Forbidden) }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::commands::{CreateKey, CreateSeller, RequestCredit};
    use crate::state::genesis::Genesis;
    use crate::state::sharded::TableSeed;
    use crate::values::amount::Amount;
    use crate::values::ids::ApiKeyHash;
    use crate::values::rules::RULES_VERSION;
    use crate::values::text::{IdempotencyKey, Name, Note};

    const WINDOW_MS: u64 = 1_000_000;
    const NOW: Time = Time(1);

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// The seller's request for credit under a key.
    fn request(key: &str) -> Command {
        let action = Action::RequestCredit(RequestCredit {
            amount: Amount::new(5).unwrap(),
            note: Note::empty(),
            reference: None,
        });
        Command { actor: 3, idempotency_key: Some(IdempotencyKey::new(key).unwrap()), action }
    }

    /// A ledger whose record 4 is the request under the key `a`.
    fn with_a_request() -> (State, Facts) {
        let genesis = Genesis {
            ledger: Uuid::from_u128(7),
            epoch: 1,
            currency: name("IRT"),
            decimals: 0,
            key_window_ms: WINDOW_MS,
            keys_max: 10,
            rules: RULES_VERSION,
            admin_key: ApiKeyHash([1; 32]),
        };
        let by = |actor, action| Command { actor, idempotency_key: None, action };
        let key = CreateKey { name: name("till"), grant: Grant::Seller(2), hash: ApiKeyHash([2; 32]) };
        let (mut state, mut facts) = (State::new(TableSeed([1, 2])), Facts::default());
        for command in [
            by(SYSTEM_ACTOR, Action::Genesis(genesis)),
            by(1, Action::CreateSeller(CreateSeller { name: name("shop") })),
            by(1, Action::CreateKey(key)),
            request("a"),
        ] {
            let Ok(Outcome::New(record)) = decide(&state, &facts, &command, NOW) else { panic!("{command:?}") };
            state.apply(&record);
            facts.add(Arc::new(record));
        }
        (state, facts)
    }

    #[test]
    fn a_record_that_only_seems_to_hold_the_key_replays_nothing() {
        let (mut state, facts) = with_a_request();
        assert_eq!(decide(&state, &facts, &request("a"), NOW), Ok(Outcome::Replay(4)));
        // As if the two keys had the same fingerprint.
        let at = facts.get(4).unwrap().at();
        state.remember(at, 3, request("b").idempotency_key.as_ref().unwrap());
        assert!(request("b").seems_decided(&state, NOW));
        assert_eq!(decide(&state, &Facts::default(), &request("b"), NOW), Err(Missing(4)));
        assert!(matches!(decide(&state, &facts, &request("b"), NOW), Ok(Outcome::New(_))));
        // As if an admin's key that is spelled alike had it too.
        let admins =
            Command { actor: 1, action: Action::CreateSeller(CreateSeller { name: name("other") }), ..request("a") };
        state.remember(at, 1, admins.idempotency_key.as_ref().unwrap());
        assert!(matches!(decide(&state, &facts, &admins, NOW), Ok(Outcome::New(_))));
    }

    /// The counts of keys go by buckets, and this window's are 16 ms wide; what is remembered does not.
    #[test]
    fn a_key_is_forgotten_to_the_millisecond() {
        let (state, facts) = with_a_request();
        let last = Time(NOW.0 + WINDOW_MS - 1);
        assert_eq!(decide(&state, &facts, &request("a"), last), Ok(Outcome::Replay(4)));
        assert!(matches!(decide(&state, &facts, &request("a"), Time(last.0 + 1)), Ok(Outcome::New(_))));
    }
}
