//! The check of a whole run, in linear time: every record replayed through `ledger::decide`, every answer compared
//! with what that gives at its position, and the order of numbers with the order of real time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ledger::{
    Audit, AuditReport, Claims, Command, Digest, Event, Facts, Missing, NodeMembership, Outcome as Decision, Record,
    RecordNumber, State, Time, decide,
};

use crate::checks::accounts::Accounts;
use crate::checks::http_model::HttpModel;
use crate::checks::ledger_time::LedgerTimeCheck;
use crate::checks::origin::{CommandOrigin, content};
use crate::checks::question::Question;
use crate::history::events::{LogicalTime, PortRead};
use crate::history::{Recorder, RunHistory};

/// The state of a node at the end.
#[derive(Debug)]
pub struct FinalState {
    /// The node.
    pub node: u64,
    /// Its sums.
    pub claims: Claims,
    /// How many keys it remembers.
    pub keys_held: u64,
    /// How many credit requests are pending there.
    pub pending: usize,
    /// What its own audit found, once that came to the last record.
    pub audited: AuditReport,
}

/// The check of one run, and what it has found so far.
pub struct Checker<'a> {
    /// What clients asked and were answered.
    pub history: &'a RunHistory,
    /// The records of the ledger, in order.
    pub records: &'a [Record],
    /// The same records as HTTP must show them.
    pub http: HttpModel<'a>,
    /// The commands that were submitted under each key.
    pub by_key: HashMap<(u64, &'a str), Vec<CommandOrigin>>,
    /// The commands without a key, by their content.
    pub keyless: HashMap<String, Vec<CommandOrigin>>,
    /// The refusals that were recorded under a key.
    pub refusals: HashMap<(u64, &'a str), Vec<RecordNumber>>,
    /// What was found, each with the operation that it is about.
    pub violations: Vec<(String, Option<usize>)>,
    /// The operation that was answered with a record as new.
    pub new_in: HashMap<RecordNumber, usize>,
    /// When each record was first acknowledged.
    pub acknowledged: HashMap<RecordNumber, LogicalTime>,
    /// Operations without a key that had their effect.
    pub used: HashSet<usize>,
    /// What was decided of each node so far.
    pub nodes: BTreeMap<u64, NodeMembership>,
    /// The latest first invocation of an operation so far, in the order of records.
    pub latest_invocation: Option<(LogicalTime, usize)>,
}

/// Checks a run against the records that a node has at its end. Violations go into the recorder.
pub fn check(
    recorder: &Recorder,
    records: &[Record],
    positions: &BTreeMap<u64, Digest>,
    finals: &[FinalState],
    ledger_time: &LedgerTimeCheck<'_>,
) {
    let violations = {
        let history = recorder.history();
        let mut checker = Checker::new(&history, records);
        checker.run(positions, finals);
        checker.violations.extend(ledger_time.violations(&history, records));
        checker.violations
    };
    for (what, op) in violations {
        recorder.violation_of(what, op);
    }
}

impl<'a> Checker<'a> {
    fn new(history: &'a RunHistory, records: &'a [Record]) -> Self {
        let mut by_key: HashMap<_, Vec<CommandOrigin>> = HashMap::new();
        let mut keyless: HashMap<_, Vec<CommandOrigin>> = HashMap::new();
        for (op, operation) in history.operations.iter().enumerate() {
            for (place, command) in operation.commands.iter().enumerate() {
                match &command.idempotency_key {
                    Some(key) => {
                        by_key.entry((command.actor, key.as_str())).or_default().push(CommandOrigin { op, place });
                    }
                    None => keyless.entry(content(command)).or_default().push(CommandOrigin { op, place }),
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
            history,
            records,
            http: HttpModel::new(records),
            by_key,
            keyless,
            refusals,
            violations: Vec::new(),
            new_in: HashMap::new(),
            acknowledged: HashMap::new(),
            used: HashSet::new(),
            nodes: BTreeMap::new(),
            latest_invocation: None,
        }
    }

    /// Notes a violation.
    pub fn violation(&mut self, op: Option<usize>, what: String) {
        self.violations.push((what, op));
    }

    fn run(&mut self, positions: &BTreeMap<u64, Digest>, finals: &[FinalState]) {
        let counts = self.counts(positions);
        let mut questions = self.questions(&counts);
        let mut port_reads: BTreeMap<u64, Vec<&PortRead>> = BTreeMap::new();
        for read in &self.history.port_reads {
            port_reads.entry(read.result.records).or_default().push(read);
        }
        let mut http_reads = self.http_reads(&counts);
        let (mut state, mut audit, mut accounts) =
            (State::new(ledger::TableSeed([1, 2])), Audit::new(ledger::TableSeed([1, 2])), Accounts::default());
        let mut open: Vec<Question<'a>> = Vec::new();
        for count in 0..=self.records.len() as u64 {
            open.extend(questions.remove(&count).unwrap_or_default());
            open.retain(|question| !self.is_correct(&state, question));
            for question in open.extract_if(.., |question| question.until <= count) {
                self.violation(
                    Some(question.op),
                    format!(
                        "an answer is not what the rules give there: {:?} for {:?}",
                        question.answer, question.command
                    ),
                );
            }
            port_reads.remove(&count).into_iter().flatten().for_each(|read| self.check_read(&state, read));
            http_reads.remove(&count).into_iter().flatten().for_each(|read| self.check_http_read(&state, read));
            let Some(record) = self.records.get(count as usize) else { break };
            self.check_record(&state, record);
            let Ok(()) = audit.feed(record, self.records);
            if let Err(what) = accounts.feed(record) {
                self.violation(None, what);
            }
            if !self.violations.is_empty() {
                return;
            }
            state.apply(record);
        }
        for (_, read) in port_reads {
            let what = format!("reads saw records that are not there at the end: {:?}", read[0]);
            self.violation(None, what);
        }
        self.check_end(&state, audit, finals);
    }

    /// How many records there were at each position.
    fn counts(&mut self, positions: &BTreeMap<u64, Digest>) -> BTreeMap<u64, u64> {
        let mut count_of = HashMap::from([(Digest::ZERO, 0)]);
        let mut chain = ledger::RecordChain::default();
        let ledger = uuid::Uuid::from_u128(crate::network::CLUSTER);
        for record in self.records {
            chain.push(ledger, record);
            count_of.insert(chain.digest(), record.number);
        }
        let mut counts = BTreeMap::new();
        for (position, digest) in positions {
            let Some(count) = count_of.get(digest) else {
                self.violation(None, format!("what was applied at position {position} is not in the history"));
                break;
            };
            counts.insert(*position, *count);
        }
        counts
    }

    /// What the rules decide at a state.
    pub fn decide(&self, state: &State, command: &Command, stamp: Time) -> Decision {
        let mut facts = Facts::default();
        loop {
            match decide(state, &facts, command, stamp) {
                Ok(decision) => return decision,
                Err(Missing::Record(number)) => facts.add(Arc::new(self.records[number as usize - 1].clone())),
                // As of this state: the records after it conclude nothing yet.
                Err(missing @ Missing::Conclusion(_)) => {
                    facts.supply(missing, &self.records[..state.records() as usize]);
                }
            }
        }
    }

    fn check_end(&mut self, state: &State, mut audit: Audit, finals: &[FinalState]) {
        let claims = Claims::of(state);
        audit.compare(&claims);
        let report = audit.report();
        for broken in &report.broken {
            self.violation(None, format!("the audit finds a violation: {broken:?}"));
        }
        for replica in finals {
            let node = replica.node;
            if replica.claims != claims {
                self.violation(None, format!("node {node} has other sums than a full replay gives"));
            }
            if (replica.keys_held, replica.pending) != (state.keys_held(), state.pending_after(0).count()) {
                self.violation(None, format!("node {node} remembers other keys or requests than a full replay gives"));
            }
            if replica.audited != report {
                let found = &replica.audited;
                self.violation(None, format!("the audit of node {node} finds {found:?}, a full one {report:?}"));
            }
        }
    }
}
