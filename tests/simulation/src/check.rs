//! The books of a whole run, checked in linear time: every record replayed through `ledger::decide`, every answer compared
//! with what that gives at its position, and the order of numbers with the order of real time.

mod questions;
mod times;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ledger::{
    Action, Audit, Claims, Command, CreateKey, CreateSeller, CreditApproved, CreditRejected, DecideCredit, Digest,
    Event, Facts, KeyCreated, KeyRevoked, Missing, Outcome as Decision, Record, RecordNumber, RevokeKey, SYSTEM_ACTOR,
    SellerCreated, SellerStatusSet, SetSellerStatus, State, Time, decide,
};

use crate::accounts::Accounts;
use crate::book::{Book, Looked, Pages, Read, Turn};
use crate::door::Fresh;
use crate::shown::Library;
use questions::Question;
pub use times::Times;

/// What a member has at the end.
#[derive(Debug)]
pub struct Final {
    /// The member.
    pub node: u64,
    /// Its sums.
    pub claims: Claims,
    /// How many keys it remembers.
    pub keys_held: u64,
    /// How many requests wait for a verdict there.
    pub pending: usize,
}

/// Who asked for a record.
#[derive(Clone, Copy)]
struct Asker {
    op: usize,
    place: usize,
}

/// See the head of this file.
struct Checker<'a> {
    pages: &'a Pages,
    records: &'a [Record],
    library: Library<'a>,
    by_key: HashMap<(u64, &'a str), Vec<Asker>>,
    keyless: HashMap<String, Vec<Asker>>,
    /// The refusals that were recorded under a key.
    refusals: HashMap<(u64, &'a str), Vec<RecordNumber>>,
    broken: Vec<(String, Option<usize>)>,
    /// Who was told of a record as new, and when a record was first told.
    told_new: HashMap<RecordNumber, usize>,
    told: HashMap<RecordNumber, Turn>,
    used: std::collections::HashSet<usize>,
    latest_ask: Option<(Turn, usize)>,
}

/// Checks a run against the records that a member has at its end. What is broken goes into the book.
pub fn check(book: &Book, records: &[Record], positions: &BTreeMap<u64, Digest>, finals: &[Final], times: &Times<'_>) {
    let broken = {
        let pages = book.pages();
        let mut checker = Checker::new(&pages, records);
        checker.run(positions, finals);
        checker.broken.extend(times.breaches(&pages, records));
        checker.broken
    };
    for (what, op) in broken {
        book.broken_by(what, op);
    }
}

impl<'a> Checker<'a> {
    fn new(pages: &'a Pages, records: &'a [Record]) -> Self {
        let mut by_key: HashMap<_, Vec<Asker>> = HashMap::new();
        let mut keyless: HashMap<_, Vec<Asker>> = HashMap::new();
        for (op, asked) in pages.ops.iter().enumerate() {
            for (place, command) in asked.commands.iter().enumerate() {
                match &command.idempotency_key {
                    Some(key) => by_key.entry((command.actor, key.as_str())).or_default().push(Asker { op, place }),
                    None => keyless.entry(content(command)).or_default().push(Asker { op, place }),
                }
            }
        }
        let mut refusals: HashMap<_, Vec<RecordNumber>> = HashMap::new();
        for record in records.iter().filter(|record| matches!(record.event, Event::Refused(_))) {
            if let Some(key) = &record.idempotency_key {
                refusals.entry((record.actor, key.as_str())).or_default().push(record.number);
            }
        }
        Self {
            pages,
            records,
            library: Library::new(records),
            by_key,
            keyless,
            refusals,
            broken: Vec::new(),
            told_new: HashMap::new(),
            told: HashMap::new(),
            used: std::collections::HashSet::new(),
            latest_ask: None,
        }
    }

    fn breach(&mut self, op: Option<usize>, what: String) {
        self.broken.push((what, op));
    }

    fn run(&mut self, positions: &BTreeMap<u64, Digest>, finals: &[Final]) {
        let counts = self.counts(positions);
        let mut questions = self.questions(&counts);
        let mut reads: BTreeMap<u64, Vec<&Read>> = BTreeMap::new();
        for read in &self.pages.reads {
            reads.entry(read.seen.records).or_default().push(read);
        }
        let mut looks = self.looks(&counts);
        let (mut state, mut audit, mut accounts) = (State::new(), Audit::new(), Accounts::default());
        let mut open: Vec<Question<'a>> = Vec::new();
        for count in 0..=self.records.len() as u64 {
            open.extend(questions.remove(&count).unwrap_or_default());
            open.retain(|question| !self.is_right(&state, question));
            for question in open.extract_if(.., |question| question.until <= count) {
                self.breach(
                    Some(question.op),
                    format!(
                        "an answer is not what the rules give there: {:?} for {:?}",
                        question.answer, question.command
                    ),
                );
            }
            reads.remove(&count).into_iter().flatten().for_each(|read| self.check_read(&state, read));
            looks.remove(&count).into_iter().flatten().for_each(|looked| self.check_look(&state, looked));
            let Some(record) = self.records.get(count as usize) else { break };
            self.check_record(&state, record);
            audit.feed(record);
            if let Err(what) = accounts.feed(record) {
                self.breach(None, what);
            }
            if !self.broken.is_empty() {
                return;
            }
            state.apply(record);
        }
        for (_, read) in reads {
            let what = format!("reads saw records that are not there at the end: {:?}", read[0]);
            self.breach(None, what);
        }
        self.check_end(&state, audit, finals);
    }

    /// How many records there were at each position.
    fn counts(&mut self, positions: &BTreeMap<u64, Digest>) -> BTreeMap<u64, u64> {
        let mut count_of = HashMap::from([(Digest::ZERO, 0)]);
        let mut digest = Digest::ZERO;
        for record in self.records {
            digest = ledger::chain_record(&digest, record);
            count_of.insert(digest, record.number);
        }
        let mut counts = BTreeMap::new();
        for (position, digest) in positions {
            match count_of.get(digest) {
                Some(count) => {
                    counts.insert(*position, *count);
                }
                None => {
                    self.breach(None, format!("what was applied at position {position} is not in the history"));
                    break;
                }
            }
        }
        counts
    }

    fn decide(&self, state: &State, command: &Command, stamp: Time) -> Decision {
        let mut facts = Facts::default();
        loop {
            match decide(state, &facts, command, stamp) {
                Ok(decision) => return decision,
                Err(Missing(number)) => facts.add(Arc::new(self.records[number as usize - 1].clone())),
            }
        }
    }

    /// Somebody asked for it, who was not told that it was not done; the rules give it; and its number follows real time.
    fn check_record(&mut self, state: &State, record: &Record) {
        if record.actor == SYSTEM_ACTOR {
            if !matches!(record.event, Event::Genesis(_) | Event::NodeRegistered(_)) {
                self.breach(None, format!("nobody asked for {record:?}"));
            }
            return;
        }
        let askers = match &record.idempotency_key {
            Some(key) => self.by_key.get(&(record.actor, key.as_str())),
            None => keyless_content(record).and_then(|content| self.keyless.get(&content)),
        };
        let askers: Vec<Asker> = askers.into_iter().flatten().copied().collect();
        let fits = |asker: &&Asker| {
            let op = &self.pages.ops[asker.op];
            let decided = self.decide(state, &op.commands[asker.place], record.time);
            decided == Decision::New(record.clone())
        };
        let fitting: Vec<Asker> = askers.iter().filter(fits).copied().collect();
        let Some(first) = fitting.first() else {
            let op = askers.first().map(|asker| asker.op);
            return self.breach(op, format!("nobody asked for it, or the rules do not give it: {record:?}"));
        };
        let is_possible = |asker: &&Asker| {
            let attempts = &self.pages.ops[asker.op].attempts;
            attempts
                .iter()
                .any(|attempt| attempt.heard.as_ref().is_none_or(|(_, outcome)| !outcome.is_certainly_not_done()))
        };
        if !fitting.iter().any(|asker| is_possible(&asker)) {
            self.breach(Some(first.op), format!("it was told as certainly not done, and is there: {record:?}"));
        }
        if record.idempotency_key.is_none() {
            self.use_up(record, &fitting);
        }
        self.check_order(record, &fitting);
    }

    /// A command without a key has one effect at most, however it was answered.
    fn use_up(&mut self, record: &Record, fitting: &[Asker]) {
        let told = self.told_new.get(&record.number).copied();
        let is_unanswered = |op: usize| {
            let attempts = &self.pages.ops[op].attempts;
            !attempts.iter().any(|attempt| attempt.heard.as_ref().is_some_and(|(_, outcome)| outcome.is_decided()))
        };
        let unanswered = fitting.iter().map(|asker| asker.op).find(|op| !self.used.contains(op) && is_unanswered(*op));
        match told.or(unanswered) {
            Some(op) if self.used.insert(op) => {}
            Some(op) => self.breach(Some(op), format!("op {op} had two effects, the second is {record:?}")),
            // A verdict that is asked for again tells the first one's record, by whomever it was asked for.
            None if matches!(
                record.event,
                Event::CreditApproved(_) | Event::CreditRejected(_) | Event::KeyRevoked(_)
            ) => {}
            None => self.breach(None, format!("nobody can have asked for {record:?}")),
        }
    }

    fn check_order(&mut self, record: &Record, fitting: &[Asker]) {
        let asked =
            fitting.iter().filter_map(|asker| Some((self.pages.ops[asker.op].attempts.first()?.asked, asker.op)));
        let Some((asked, op)) = asked.min() else { return };
        if let (Some(told), Some((latest, by))) = (self.told.get(&record.number), self.latest_ask)
            && *told < latest
        {
            let number = record.number;
            self.breach(
                Some(op),
                format!("record {number} was told before op {by} was asked for, which has a lower number"),
            );
        }
        self.latest_ask = self.latest_ask.max(Some((asked, op)));
    }

    fn check_read(&mut self, state: &State, read: &Read) {
        let seen = &read.seen;
        let balance = state.seller(read.seller).map(|seller| seller.balance.minor());
        let key_is_good = state.api_key(read.actor).is_some_and(|key| key.revoked_by.is_none());
        let is_right = (seen.digest, seen.balance, seen.key_is_good) == (state.digest(), balance, key_is_good);
        // A local read may fall into the middle of an entry that is being applied; its digest is still one of the chain.
        if !is_right {
            let fresh = if read.fresh == Fresh::Now { "linearizable" } else { "local" };
            self.breach(None, format!("a {fresh} read saw what never was: {read:?}"));
        }
    }

    /// The reads over HTTP, by the number of records that they saw.
    fn looks(&mut self, counts: &BTreeMap<u64, u64>) -> BTreeMap<u64, Vec<&'a Looked>> {
        let mut looks: BTreeMap<u64, Vec<&Looked>> = BTreeMap::new();
        for looked in &self.pages.looks {
            match counts.get(&looked.look.applied) {
                Some(count) if *count >= looked.floor => looks.entry(*count).or_default().push(looked),
                Some(count) => {
                    self.breach(None, format!("a read over HTTP is stale: it saw {count} records: {looked:?}"))
                }
                None => self.breach(None, format!("a read over HTTP saw a position that nobody applied: {looked:?}")),
            }
        }
        looks
    }

    fn check_look(&mut self, state: &State, looked: &Looked) {
        let balance = state.seller(looked.look.seller).map(|seller| i128::from(seller.balance.minor()));
        if balance != Some(looked.look.balance) {
            self.breach(None, format!("a read over HTTP saw what never was, the balance is {balance:?}: {looked:?}"));
        }
    }

    fn check_end(&mut self, state: &State, audit: Audit, finals: &[Final]) {
        let claims = Claims::of(state);
        for broken in audit.report(&claims).broken {
            self.breach(None, format!("the audit finds a broken promise: {broken:?}"));
        }
        for member in finals {
            let node = member.node;
            if member.claims != claims {
                self.breach(None, format!("member {node} has other sums than a full replay gives"));
            }
            if (member.keys_held, member.pending) != (state.keys_held(), state.pending_after(0).count()) {
                self.breach(None, format!("member {node} remembers other keys or requests than a full replay gives"));
            }
        }
    }
}

fn content(command: &Command) -> String {
    format!("{} {:?}", command.actor, command.action)
}

/// Commands without a key are found again by what they ask for.
fn keyless_content(record: &Record) -> Option<String> {
    let action = match &record.event {
        Event::SellerCreated(SellerCreated { name }) => Action::CreateSeller(CreateSeller { name: name.clone() }),
        Event::SellerStatusSet(SellerStatusSet { seller, status, .. }) => {
            Action::SetSellerStatus(SetSellerStatus { seller: *seller, status: *status })
        }
        Event::KeyCreated(KeyCreated { name, grant, hash }) => {
            Action::CreateKey(CreateKey { name: name.clone(), grant: *grant, hash: *hash })
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
        | Event::NodeRegistered(_) => return None,
    };
    Some(format!("{} {action:?}", record.actor))
}
