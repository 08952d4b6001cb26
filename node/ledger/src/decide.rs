//! The decision, one pure function: a state, what a command needs of old records, the command, and the leader's stamp.
//!
//! Order of checks, the same for every command: authorisation, hold, key replay, then those of its kind ([`crate::commands`]):
//! existence, state, limits, balance. Invariants: a rejected command leaves no trace, ledger time included. Every
//! [`Outcome::New`] applies, whatever was asked by whom: a record that [`State::apply`] does not take would stop all
//! replicas, permanently.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::commands::kind::{Context, Denial, RequiredRole};
use crate::commands::{Action, Command, Event, Refused};
use crate::record::Record;
use crate::refusal::Rejection;
use crate::state::api_key::ApiKey;
use crate::state::{Conclusion, State};
use crate::values::ids::{RecordNumber, SYSTEM_ACTOR, Time};
use crate::values::rules::RULES_ROLES;

/// What was read of the history for commands.
///
/// Records never change. What concluded a charge or a request does, once: who decides several commands on the same facts
/// gives them each new record ([`Facts::learn`]).
#[derive(Debug, Clone, Default)]
pub struct Facts {
    records: BTreeMap<RecordNumber, Arc<Record>>,
    conclusions: BTreeMap<RecordNumber, Option<Conclusion>>,
}

impl Facts {
    /// Adds a record. The last one of a number counts.
    pub fn add(&mut self, record: Arc<Record>) {
        self.records.insert(record.number, record);
    }

    /// Adds what concluded the charge or the request of this number; `None` where it is open, or is neither.
    pub fn add_conclusion(&mut self, subject: RecordNumber, conclusion: Option<Conclusion>) {
        self.conclusions.insert(subject, conclusion);
    }

    /// A record was decided on the same facts: what was known to be open may be concluded by it.
    pub fn learn(&mut self, record: &Record) {
        if let Some((subject, conclusion)) = record.concludes() {
            self.add_conclusion(subject, Some(conclusion));
        }
    }

    /// Adds what is missing, from a whole history in memory: for models and tests.
    pub fn supply(&mut self, missing: Missing, history: &[Record]) {
        match missing {
            Missing::Record(number) => {
                if let Some(found) = history.iter().find(|record| record.number == number) {
                    self.add(Arc::new(found.clone()));
                }
            }
            Missing::Conclusion(number) => {
                let mut concluded = history.iter().filter_map(Record::concludes);
                let found = concluded.find(|(subject, _)| *subject == number);
                self.add_conclusion(number, found.map(|(_, conclusion)| conclusion));
            }
        }
    }

    /// The record of this number, where it was added.
    pub fn get(&self, number: RecordNumber) -> Option<&Arc<Record>> {
        self.records.get(&number)
    }

    fn require(&self, number: RecordNumber) -> Result<&Record, Missing> {
        self.records.get(&number).map(Arc::as_ref).ok_or(Missing::Record(number))
    }

    fn require_conclusion(&self, subject: RecordNumber) -> Result<Option<Conclusion>, Missing> {
        self.conclusions.get(&subject).copied().ok_or(Missing::Conclusion(subject))
    }
}

/// Deciding a command needs something of the history that the facts lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The record of this number, which exists.
    Record(RecordNumber),
    /// What concluded the charge or the credit request of this number, if anything did.
    Conclusion(RecordNumber),
}

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

/// Decides `command` at the larger of the state's time and `stamp`. Where it says [`Missing`], add that to the facts and
/// decide again: on one state, at one stamp, a command needs one record and what concluded it, and rarely one or two records
/// more, which only seemed to hold its key.
///
/// [`Rejection::Inconsistent`] is for the node alone, which must not go on: what it read contradicts its state.
pub fn decide(state: &State, facts: &Facts, command: &Command, stamp: Time) -> Result<Outcome, Missing> {
    let now = state.time_at(stamp);
    let key = match authorise(state, command, now) {
        Ok(key) => key,
        Err(rejection) => return Ok(Outcome::Rejected(rejection)),
    };
    let (subject, concluded) = match look_up(state, facts, command, stamp)? {
        Found::Decided(record) if command.action.is_answered_by(&record.event) => {
            return Ok(Outcome::Replay(record.number));
        }
        Found::Decided(_) => return Ok(Outcome::Rejected(Rejection::KeyReused)),
        Found::Open { subject, concluded } => {
            (subject.map(|record| (record.at(), record.actor, &record.event)), concluded)
        }
    };
    let event = match command.action.evaluate(&Context { state, now, key, concluded }, subject) {
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
        time: now,
        actor: command.actor,
        idempotency_key: command.idempotency_key.clone(),
        origin: command.origin.clone().filter(|_| keeps_origin(state, key)),
        event,
    }))
}

/// Whether it is kept where a command of this key came from: of an act, whatever a sender says of a sale. What older rules had
/// decided must read the same by every build.
fn keeps_origin(state: &State, key: Option<&ApiKey>) -> bool {
    let is_act = key.is_some_and(|key| !RequiredRole::Seller.is_of(key.grant));
    is_act && state.rules() >= RULES_ROLES
}

/// What [`decide`] would say is missing next, found without deciding: to read, before the state is locked, what many
/// commands need. For a command that is rejected for its actor it may name one that is not needed.
pub fn missing(state: &State, facts: &Facts, command: &Command, stamp: Time) -> Option<Missing> {
    look_up(state, facts, command, stamp).err()
}

/// Reads what the idempotency keys of these commands look up, as many at once as the processor can, and does nothing with it.
pub fn touch_keys(state: &State, commands: &[Command]) {
    state.touch_keys(commands.iter().filter_map(|command| Some((command.actor, command.idempotency_key.as_ref()?))));
}

/// Reads the accounts of the phones of these commands in the same way.
pub fn touch_phones(state: &State, commands: &[Command]) {
    state.touch_phones(commands.iter().filter_map(|command| command.action.kind().phone()));
}

/// What old records say of a command.
enum Found<'a> {
    /// Its idempotency key was decided by this record.
    Decided(&'a Record),
    /// It has no decision yet. The subject is the record that it is about, where it names one.
    Open { subject: Option<&'a Record>, concluded: Option<Conclusion> },
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
    let kind = command.action.kind();
    let subject = kind.subject(state).map(|number| facts.require(number)).transpose()?;
    let concluded = match kind.concludes(state) {
        Some(number) => facts.require_conclusion(number)?,
        None => None,
    };
    // It is done already, and that record is its answer.
    if let Some(Conclusion { record, .. }) = concluded.filter(|conclusion| kind.is_done_by(conclusion.how)) {
        facts.require(record)?;
    }
    Ok(Found::Open { subject, concluded })
}

/// Whether the actor may have this decided; with its API key, where it is not the cluster itself.
fn authorise<'a>(state: &'a State, command: &Command, now: Time) -> Result<Option<&'a ApiKey>, Rejection> {
    if state.genesis().is_some() == matches!(command.action, Action::Genesis(_)) {
        return Err(Rejection::OutOfPlace);
    }
    let role = command.action.kind().role();
    if command.action.kind().since() > state.rules().max(1) {
        return Err(Rejection::NotYet);
    }
    if command.actor == SYSTEM_ACTOR {
        return match role {
            // An idempotency key is remembered in the scope of an API key, and here is none.
            _ if command.idempotency_key.is_some() => Err(Rejection::Malformed),
            RequiredRole::System => Ok(None),
            RequiredRole::Admin | RequiredRole::Approver | RequiredRole::Operator | RequiredRole::Seller => {
                Err(Rejection::Forbidden)
            }
        };
    }
    let is_active = |key: &&ApiKey| key.revoked_by.is_none();
    let key = state.api_key(command.actor).filter(is_active).ok_or(Rejection::KeyRevoked)?;
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(Rejection::KeyExpired);
    }
    if !role.is_of(key.grant) {
        return Err(Rejection::Forbidden);
    }
    if state.is_on_hold() && !command.action.kind().is_done_on_hold() {
        return Err(Rejection::OnHold);
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use uuid::Uuid;

    use super::*;
    use crate::commands::{Charge, CreateKey, CreateSeller, DecideCredit, RequestCredit, Reverse};
    use crate::refusal::Refusal;
    use crate::state::Verdict;
    use crate::state::api_key::Grant;
    use crate::state::genesis::Genesis;
    use crate::state::sharded::TableSeed;
    use crate::values::amount::Amount;
    use crate::values::ids::ApiKeyHash;
    use crate::values::phone::Phone;
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
        Command { actor: 3, idempotency_key: Some(IdempotencyKey::new(key).unwrap()), origin: None, action }
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
        let by = |actor, action| Command { actor, idempotency_key: None, origin: None, action };
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
        assert_eq!(decide(&state, &Facts::default(), &request("b"), NOW), Err(Missing::Record(4)));
        assert!(matches!(decide(&state, &facts, &request("b"), NOW), Ok(Outcome::New(_))));
        // As if an admin's key that is spelled alike had it too.
        let admins =
            Command { actor: 1, action: Action::CreateSeller(CreateSeller { name: name("other") }), ..request("a") };
        state.remember(at, 1, admins.idempotency_key.as_ref().unwrap());
        assert!(matches!(decide(&state, &facts, &admins, NOW), Ok(Outcome::New(_))));
    }

    /// What was read before an entry is decided does not show what its first commands conclude.
    #[test]
    fn facts_learn_what_is_concluded_after_they_were_read() {
        let (mut state, mut facts) = with_a_request();
        let history: Vec<Record> = (1..=4).map(|number| facts.get(number).unwrap().as_ref().clone()).collect();
        let amount = Amount::new(5).unwrap();
        let by = |actor, action| Command { actor, idempotency_key: None, origin: None, action };
        let verdict = |verdict| DecideCredit { request: 4, verdict, reason: Note::empty() };
        let approval = by(1, Action::DecideCredit(verdict(Verdict::Approved)));
        let charge =
            by(3, Action::Charge(Charge { phone: Phone::new(989_120_000_000).unwrap(), amount, reference: None }));
        let reversal = by(1, Action::Reverse(Reverse { charge: 6, reason: Note::empty() }));
        for command in [&approval, &charge, &reversal] {
            while let Some(missing) = missing(&state, &facts, command, NOW) {
                facts.supply(missing, &history);
            }
            let Ok(Outcome::New(record)) = decide(&state, &facts, command, NOW) else { panic!("{command:?}") };
            state.apply(&record);
            facts.learn(&record);
            facts.add(Arc::new(record));
        }
        assert_eq!(decide(&state, &facts, &approval, NOW), Ok(Outcome::Replay(5)));
        let opposite = by(1, Action::DecideCredit(verdict(Verdict::Rejected)));
        let decided = Refusal::RequestDecided { verdict: Verdict::Approved };
        for (command, refusal) in [(&opposite, decided), (&reversal, Refusal::ChargeReversed)] {
            let refused = Ok(Outcome::Rejected(Rejection::Conflict(refusal)));
            assert_eq!(decide(&state, &facts, command, NOW), refused, "{command:?}");
        }
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
