//! Any command, by any actor, with any key, hash, id, amount and stamp, also such as no request becomes: every decision
//! applies, on every replica, and the books stay right.
//!
//! Each seed draws its own sequence; a failing one is printed. `LEDGER_SEEDS=N` runs more of them.
#![expect(clippy::cast_possible_truncation, reason = "a history in memory is indexed by its records' numbers")]

mod book;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use book::{amount, idempotency_key, name, phone};
use fastrand::Rng;
use ledger::{
    Action, AddNode, Address, Adjust, ApiKeyHash, Audit, BeginEpoch, Charge, Claims, Command, CreateExpiringKey,
    CreateKey, CreateSeller, DecideCredit, Event, Facts, Genesis, Grant, MAX_MINOR, Missing, NodeAddresses, Note,
    NoteBackup, OpenLedger, Origin, Outcome, Policy, PromoteNode, RULES_VERSION, RaiseRules, Record, RecordNumber,
    Reference, Refused, RegisterNode, Rejection, RemoveNode, RequestCredit, RequestCreditFor, Reverse, RevokeKey,
    RotateKey, SYSTEM_ACTOR, SellerStatus, SetPolicy, SetSellerStatus, SignedAmount, State, Time, Verdict, decide,
    missing,
};
use uuid::Uuid;

const STEPS: usize = 400;
/// Most that one command needs of the history: the record that its key names, and where that is not it, its subject and what
/// concluded that.
const FACTS: usize = 3;
const NAMES: [&str; 6] = ["admin", "till", "Till", "\u{6a9}\u{6cc}", "\u{643}\u{64a}", "auditor"];

fn seeds() -> u64 {
    std::env::var("LEDGER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// What became of a run's commands, by name, so that draws without variety are noticed.
type Reached = BTreeSet<String>;

struct Run {
    rng: Rng,
    state: State,
    history: Vec<Record>,
    audit: Audit,
    now: u64,
    /// Whether what a command needs may be another record.
    lying: bool,
}

impl Run {
    fn new(seed: u64, lying: bool) -> Self {
        let (state, audit) = (State::new(ledger::TableSeed([1, 2])), Audit::new(ledger::TableSeed([1, 2])));
        Self { rng: Rng::with_seed(seed), state, history: Vec::new(), audit, now: 1_000, lying }
    }

    fn play(&mut self, reached: &mut Reached) {
        for _ in 0..STEPS {
            let stamp = self.stamp();
            let command = self.command();
            let outcome = self.decide(&command, stamp);
            note(reached, &outcome);
            let Outcome::New(record) = outcome else { continue };
            let before = self.state.time();
            let applied = catch_unwind(AssertUnwindSafe(|| self.state.apply(&record)));
            assert!(applied.is_ok(), "{command:?} at {stamp:?} became {record:?}, which does not apply");
            self.check(before, &record, stamp);
            let Ok(()) = self.audit.feed(&record, self.history.as_slice());
            self.history.push(record);
        }
        self.audit.compare(&Claims::of(&self.state));
        let report = self.audit.report();
        assert!(self.lying || report.is_consistent(), "{:?}", report.broken);
    }

    /// With the records that it needs; where the run lies, perhaps with others under their numbers.
    fn decide(&mut self, command: &Command, stamp: Time) -> Outcome {
        let mut facts = Facts::default();
        // Where records lie, one key may be decided again, and each of its decisions is looked at.
        let most = if self.lying { 3 * FACTS } else { FACTS };
        for _ in 0..=most {
            let missing = match decide(&self.state, &facts, command, stamp) {
                Ok(outcome) => {
                    let is_rejected = matches!(outcome, Outcome::Rejected(_));
                    assert!(is_rejected || missing(&self.state, &facts, command, stamp).is_none(), "{command:?}");
                    return outcome;
                }
                Err(missing) => missing,
            };
            match missing {
                Missing::Record(number) => facts.add(Arc::new(self.fetch(number))),
                // What the history says is concluded, and sometimes a lie.
                Missing::Conclusion(number) if self.lying && self.rng.u8(..4) == 0 => {
                    facts.add_conclusion(number, None);
                }
                Missing::Conclusion(_) => facts.supply(missing, &self.history),
            }
        }
        panic!("{command:?} needs more than {most} facts");
    }

    fn fetch(&mut self, number: RecordNumber) -> Record {
        let right = self.history[number as usize - 1].clone();
        if !self.lying || self.rng.u8(..4) > 0 {
            return right;
        }
        let other = self.rng.choice(&self.history).expect("the right one is among them");
        Record { number, ..other.clone() }
    }

    /// What holds after every record, whatever was asked.
    fn check(&self, before: Time, record: &Record, stamp: Time) {
        assert!(record.time == before || (record.time > before && record.time <= stamp));
        assert!(record.time <= Time::LAST, "answers can be written: {record:?}");
        if let Some(genesis) = self.state.genesis() {
            let bounded = genesis.decimals <= 4 && genesis.key_window_ms > 0 && genesis.keys_max > 0;
            let is_known = (genesis.rules.max(1)..=ledger::RULES_VERSION).contains(&self.state.rules());
            assert!(bounded && is_known, "a ledger can be run with it: {genesis:?}");
        }
        let totals = self.state.totals();
        assert_eq!(totals.treasury + totals.sellers + totals.phones, 0, "{record:?}");
        let held: i128 = self.state.sellers_after(0).map(|(_, seller)| i128::from(seller.balance.minor())).sum();
        assert_eq!(held, totals.sellers, "{record:?}");
        assert!(self.state.sellers_after(0).all(|(_, seller)| seller.balance.minor() <= MAX_MINOR), "{record:?}");
    }

    fn stamp(&mut self) -> Time {
        self.now += self.rng.u64(..300);
        Time(match self.rng.u16(..1_000) {
            0..=39 => self.rng.u64(..=self.now),
            40..=44 => {
                self.now += 10_000;
                self.now
            }
            45 => *self.rng.choice(&[Time::LAST.0 - 1, Time::LAST.0, Time::LAST.0 + 1, u64::MAX]).unwrap(),
            _ => self.now,
        })
    }

    fn command(&mut self) -> Command {
        let action = if self.state.genesis().is_none() && self.rng.bool() {
            Action::Genesis(self.genesis())
        } else {
            self.action()
        };
        let idempotency_key =
            self.rng.bool().then(|| idempotency_key(&format!("k{}", self.rng.u8(..60)))).filter(|_| self.rng.bool());
        Command { actor: self.actor(&action), idempotency_key, origin: self.origin(), action }
    }

    /// Mostly one that may, or hardly anything would be decided.
    fn actor(&mut self, action: &Action) -> RecordNumber {
        match self.rng.u8(..8) {
            0 => return SYSTEM_ACTOR,
            1 => return self.number(),
            _ => {}
        }
        let is_sellers = |grant: Grant| matches!(grant, Grant::Seller(_));
        let fitting: fn(Grant) -> bool = match action {
            Action::Charge(_) | Action::RequestCredit(_) => is_sellers,
            Action::Genesis(_) | Action::RegisterNode(_) | Action::RaiseRules(_) | Action::BeginEpoch(_) => {
                return SYSTEM_ACTOR;
            }
            Action::DecideCredit(_) | Action::RequestCreditFor(_) if self.rng.bool() => {
                |grant| matches!(grant, Grant::Approver { .. })
            }
            Action::AddNode(_) | Action::NoteBackup(_) if self.rng.bool() => |grant| grant == Grant::Operator,
            _ => |grant| grant == Grant::Admin,
        };
        let keys: Vec<_> = self.state.api_keys_after(0).filter(|(_, key)| fitting(key.grant)).collect();
        self.rng.choice(keys).map_or(SYSTEM_ACTOR, |(number, _)| *number)
    }

    fn action(&mut self) -> Action {
        // A ledger that is on hold is opened soon, or hardly anything else would be decided.
        if self.state.is_on_hold() && self.rng.u8(..4) == 0 {
            let late = u32::from(self.rng.u8(..8) == 0);
            return Action::OpenLedger(OpenLedger { epoch: self.state.epoch().wrapping_sub(late) });
        }
        if self.rng.u16(..140) == 0 {
            return self.recovery();
        }
        if self.rng.u16(..14) == 0 {
            return self.back_office();
        }
        match self.rng.u8(..100) {
            0..=1 => Action::Genesis(self.genesis()),
            2..=5 => Action::CreateSeller(CreateSeller { name: self.name() }),
            6..=11 => {
                let status = if self.rng.u8(..4) == 0 { SellerStatus::Suspended } else { SellerStatus::Active };
                Action::SetSellerStatus(SetSellerStatus { seller: self.seller(), status })
            }
            12..=25 => Action::CreateKey(CreateKey { name: self.name(), grant: self.grant(), hash: self.hash() }),
            26..=29 => Action::RevokeKey(RevokeKey { key: self.number() }),
            30..=39 => {
                Action::RequestCredit(RequestCredit { amount: amount(self.sum()), note: self.note(), reference: None })
            }
            40..=51 => {
                let verdict = if self.rng.u8(..4) == 0 { Verdict::Rejected } else { Verdict::Approved };
                Action::DecideCredit(DecideCredit { request: self.request(), verdict, reason: self.note() })
            }
            52..=61 => {
                let sum = self.sum().cast_signed();
                let amount = SignedAmount::new(if self.rng.bool() { sum } else { -sum }).unwrap();
                Action::Adjust(Adjust { seller: self.seller(), amount, reason: self.note() })
            }
            62..=81 => Action::Charge(Charge {
                phone: phone(self.rng.u64(..3)),
                amount: amount(self.sum()),
                reference: Reference::new("order-7").ok().filter(|_| self.rng.bool()),
            }),
            82..=95 => Action::Reverse(Reverse { charge: self.number(), reason: self.note() }),
            96 => {
                Action::RaiseRules(RaiseRules { to: *self.rng.choice(&[0, 1, 2, 3, 4, 5, 5, 5, 6, u32::MAX]).unwrap() })
            }
            97 => {
                let incarnation = Uuid::from_u128(u128::from(self.rng.u8(..3)));
                Action::RegisterNode(RegisterNode { node: self.rng.u64(..6), incarnation })
            }
            98 => Action::AddNode(AddNode {
                above: *self.rng.choice(&[0, 1, 3, 3, 3, u64::MAX]).unwrap(),
                addresses: NodeAddresses { api: self.address(), peer: self.address() },
            }),
            _ if self.rng.bool() => Action::PromoteNode(PromoteNode { node: self.rng.u64(..8) }),
            _ => Action::RemoveNode(RemoveNode { node: self.rng.u64(..8) }),
        }
    }

    /// What came with [`RULES_ROLES`].
    fn back_office(&mut self) -> Action {
        let end = Time(self.now.saturating_add(self.rng.u64(..4_000)).saturating_sub(200));
        match self.rng.u8(..6) {
            0 => {
                let key = CreateKey { name: self.name(), grant: self.grant(), hash: self.hash() };
                Action::CreateExpiringKey(CreateExpiringKey { key, expires_at: end })
            }
            1 | 2 => Action::RotateKey(RotateKey {
                key: self.number(),
                hash: self.hash(),
                overlap_ms: *self.rng.choice(&[0, 1, 500, 3_000, u64::MAX]).unwrap(),
                expires_at: self.rng.bool().then_some(end),
            }),
            3 | 4 => {
                let request = RequestCredit { amount: amount(self.sum()), note: self.note(), reference: None };
                Action::RequestCreditFor(RequestCreditFor { seller: self.seller(), request })
            }
            _ => Action::SetPolicy(SetPolicy { policy: Policy { four_eyes: self.rng.bool() } }),
        }
    }

    /// Where a command came from, as whoever sends it says, of whatever kind it is.
    fn origin(&mut self) -> Option<Box<Origin>> {
        let address = if self.rng.bool() { IpAddr::from([10, 0, 0, self.rng.u8(..)]) } else { IpAddr::from([7; 16]) };
        self.rng.bool().then(|| Box::new(Origin { node: self.rng.u64(..5), address }))
    }

    fn recovery(&mut self) -> Action {
        match self.rng.u8(..3) {
            0 => Action::BeginEpoch(BeginEpoch {
                epoch: self.state.epoch() + u32::from(self.rng.u8(..8) > 0),
                cluster: Uuid::from_u128(u128::from(self.rng.u16(..400))),
                rules: *self.rng.choice(&[0, 1, RULES_VERSION, RULES_VERSION, RULES_VERSION, u32::MAX]).unwrap(),
                admin_key: self.rng.bool().then(|| self.hash()),
            }),
            1 => {
                let records = self.rng.u64(..=self.state.records() + 1);
                Action::NoteBackup(NoteBackup { records, digest: self.state.digest() })
            }
            _ => Action::OpenLedger(OpenLedger { epoch: self.state.epoch() }),
        }
    }

    fn address(&mut self) -> Address {
        Address::new(&format!("h{}:1", self.rng.u8(..6))).unwrap()
    }

    fn genesis(&mut self) -> Genesis {
        Genesis {
            ledger: Uuid::from_u128(u128::from(self.rng.u8(..3))),
            epoch: self.rng.u32(..4),
            currency: name("IRT"),
            decimals: self.rng.u8(..8),
            key_window_ms: *self.rng.choice(&[0, 1, 50, 5_000, 86_400_000, u64::MAX]).unwrap(),
            keys_max: *self.rng.choice(&[0, 1, 5, 1_000_000, u64::MAX]).unwrap(),
            rules: *self.rng.choice(&[0, 1, 1, 2, 3]).unwrap(),
            admin_key: self.hash(),
        }
    }

    /// A record's number, mostly: of whatever kind that record is.
    fn number(&mut self) -> RecordNumber {
        let records = self.state.records();
        match self.rng.u8(..20) {
            0 => *self.rng.choice(&[0, records + 1, records + 2, 1 << 48, u64::MAX]).unwrap(),
            1..=4 => self.rng.u64(1..=10),
            _ => self.rng.u64(records.saturating_sub(60)..=records),
        }
    }

    fn seller(&mut self) -> RecordNumber {
        let sellers: Vec<_> = self.state.sellers_after(0).map(|(number, _)| *number).collect();
        let some = self.rng.choice(sellers);
        some.filter(|_| self.rng.u8(..10) > 0).unwrap_or_else(|| self.number())
    }

    fn request(&mut self) -> RecordNumber {
        let filed = |record: &&Record| matches!(record.event, Event::CreditRequested(_) | Event::CreditRequestedFor(_));
        let requests = self.history.iter().rev().filter(filed).take(10).map(|record| record.number);
        let some = self.rng.choice(requests.collect::<Vec<_>>());
        some.filter(|_| self.rng.u8(..10) > 0).unwrap_or_else(|| self.number())
    }

    fn grant(&mut self) -> Grant {
        match self.rng.u8(..8) {
            0 => Grant::Admin,
            1 => Grant::Auditor,
            2 => Grant::Approver { limit: self.rng.bool().then(|| amount(self.rng.u64(1..=1_000))) },
            3 => Grant::Operator,
            _ => Grant::Seller(self.seller()),
        }
    }

    fn sum(&mut self) -> u64 {
        match self.rng.u8(..20) {
            0 => 1,
            1 => MAX_MINOR,
            2 => MAX_MINOR - 1,
            3 => self.rng.u64(1..=MAX_MINOR),
            _ => self.rng.u64(1..=1_000),
        }
    }

    /// One of few, so that they collide.
    fn hash(&mut self) -> ApiKeyHash {
        ApiKeyHash([self.rng.u8(..24); 32])
    }

    /// One of some, so that they collide, also as people see them.
    fn name(&mut self) -> ledger::Name {
        let base = *self.rng.choice(&NAMES).unwrap();
        if self.rng.bool() { name(base) } else { name(&format!("{base} {}", self.rng.u8(..20))) }
    }

    fn note(&mut self) -> Note {
        Note::new(if self.rng.bool() { "" } else { "said\nso" }).unwrap()
    }
}

/// The name of an outcome, and of what is in it.
fn note(reached: &mut Reached, outcome: &Outcome) {
    let named = |kind: &str, what: &dyn std::fmt::Debug| {
        let text = format!("{what:?}");
        format!("{kind} {}", text.split([' ', '(', '{']).next().unwrap_or_default())
    };
    reached.insert(match outcome {
        Outcome::New(Record { event: Event::Refused(Refused { refusal, .. }), .. }) => named("recorded", refusal),
        Outcome::New(record) => named("new", &record.event),
        Outcome::Replay(_) => "replay".to_owned(),
        Outcome::Rejected(Rejection::Conflict(refusal)) => named("conflict", refusal),
        Outcome::Rejected(rejection) => named("rejected", rejection),
    });
}

/// Prints the seed on a panic.
struct SeedReport(u64);

impl Drop for SeedReport {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

fn play_all(lying: bool) -> Reached {
    let mut reached = Reached::new();
    for seed in 0..seeds() {
        let _report = SeedReport(seed);
        Run::new(seed, lying).play(&mut reached);
    }
    reached
}

#[test]
fn whatever_is_decided_applies_and_the_books_stay_right() {
    let reached = play_all(false);
    let mut expected = vec!["replay".to_owned()];
    let kinds = [
        ("new", "Genesis SellerCreated SellerStatusSet KeyCreated KeyRevoked CreditRequested CreditApproved"),
        ("new", "CreditRejected Adjusted Charged Reversed NodeRegistered RulesRaised"),
        ("new", "NodeAdded NodePromoted NodeRemoved EpochBegun LedgerOpened BackupNoted"),
        ("recorded", "InsufficientCredit SellerSuspended RequestDecided ChargeReversed LimitExceeded NameTaken"),
        ("recorded", "LastAdminKey AddressTaken"),
        ("conflict", "InsufficientCredit SellerSuspended RequestDecided ChargeReversed LimitExceeded NameTaken"),
        ("conflict", "LastAdminKey AddressTaken"),
        ("rejected", "KeyRevoked Forbidden UnknownSeller UnknownKey UnknownRequest UnknownCharge KeyReused"),
        ("rejected", "OutOfPlace SecretTaken Malformed UnknownRules NotYet UnknownNode OnHold"),
    ];
    for (kind, names) in kinds {
        expected.extend(names.split(' ').map(|name| format!("{kind} {name}")));
    }
    let missed: Vec<_> = expected.iter().filter(|name| !reached.contains(*name)).collect();
    assert!(missed.is_empty(), "the draw never gets to {missed:?}");
}

/// A node that reads another record than the one it needs is a defect; the defect must not spread to a record that stops
/// every replica. The audit then checks the books.
#[test]
fn whatever_is_decided_on_wrong_facts_applies_too() {
    assert!(play_all(true).contains("rejected Inconsistent"));
}
