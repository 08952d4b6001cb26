//! Each record of the history: a client submitted it, the rules give it, it took effect once, and its number follows
//! real time.

use ledger::{Command, Event, NodeMembership, Outcome as Decision, Record, SYSTEM_ACTOR, State};

use crate::checks::checker::Checker;
use crate::checks::origin::{CommandOrigin, keyless_content};

impl Checker<'_> {
    /// A client submitted it and was not answered that it was not done; the rules give it; its number follows real time.
    pub fn check_record(&mut self, state: &State, record: &Record) {
        if record.actor == SYSTEM_ACTOR {
            match &record.event {
                Event::Genesis(_) | Event::RulesRaised(_) => {}
                Event::NodeRegistered(registered) => {
                    let node = *self.nodes.entry(registered.node).or_default();
                    if node == NodeMembership::Removed {
                        self.violation(None, format!("that node was removed before: {record:?}"));
                    }
                }
                _ => self.violation(None, format!("no client submitted {record:?}")),
            }
            return;
        }
        if self.is_of_node(record) {
            return;
        }
        let origins = match &record.idempotency_key {
            Some(key) => self.by_key.get(&(record.actor, key.as_str())),
            None => keyless_content(record).and_then(|content| self.keyless.get(&content)),
        };
        let origins: Vec<CommandOrigin> = origins.into_iter().flatten().copied().collect();
        let fits = |origin: &&CommandOrigin| {
            let operation = &self.history.operations[origin.op];
            // The node that received it adds where it came from.
            let received = Command { origin: record.origin.clone(), ..operation.commands[origin.place].clone() };
            let decided = self.decide(state, &received, record.time);
            decided == Decision::New(record.clone())
        };
        let fitting: Vec<CommandOrigin> = origins.iter().filter(fits).copied().collect();
        let Some(first) = fitting.first() else {
            let op = origins.first().map(|origin| origin.op);
            return self.violation(op, format!("no client submitted it, or the rules do not give it: {record:?}"));
        };
        let is_possible = |origin: &&CommandOrigin| {
            let attempts = &self.history.operations[origin.op].attempts;
            attempts
                .iter()
                .any(|attempt| attempt.completed.as_ref().is_none_or(|(_, outcome)| !outcome.is_certainly_not_done()))
        };
        if !fitting.iter().any(|origin| is_possible(&origin)) {
            self.violation(Some(first.op), format!("it was reported as certainly not done, and is there: {record:?}"));
        }
        if record.idempotency_key.is_none() {
            self.check_effects(record, &fitting);
        }
        self.check_order(record, &fitting);
    }

    /// Whether the operator asked for it: what is decided of a node. A number is given once, and a node that was removed has no
    /// further part.
    fn is_of_node(&mut self, record: &Record) -> bool {
        let fits = match &record.event {
            Event::NodeAdded(added) => {
                let is_new = self.nodes.keys().next_back().is_none_or(|last| added.node > *last);
                is_new && self.nodes.insert(added.node, NodeMembership::Learner).is_none()
            }
            Event::NodePromoted(promoted) => {
                let before = self.nodes.insert(promoted.node, NodeMembership::Voter);
                before == Some(NodeMembership::Learner)
            }
            Event::NodeRemoved(removed) => {
                let before = self.nodes.insert(removed.node, NodeMembership::Removed);
                // One that the cluster was founded with may be in no record before.
                before != Some(NodeMembership::Removed)
            }
            _ => return false,
        };
        if !fits {
            self.violation(None, format!("it does not follow from what was decided of that node before: {record:?}"));
        }
        true
    }

    /// A command without a key has one effect at most, however it was answered.
    pub fn check_effects(&mut self, record: &Record, fitting: &[CommandOrigin]) {
        let reported = self.new_in.get(&record.number).copied();
        let is_undecided = |op: usize| {
            let attempts = &self.history.operations[op].attempts;
            !attempts.iter().any(|attempt| attempt.completed.as_ref().is_some_and(|(_, outcome)| outcome.is_decided()))
        };
        let undecided = fitting.iter().map(|origin| origin.op).find(|op| !self.used.contains(op) && is_undecided(*op));
        match reported.or(undecided) {
            Some(op) if self.used.insert(op) => {}
            Some(op) => self.violation(Some(op), format!("operation {op} had two effects, the second is {record:?}")),
            // A repeated verdict is answered with the record of the first one, whichever client submitted it.
            None if matches!(
                record.event,
                Event::CreditApproved(_) | Event::CreditRejected(_) | Event::KeyRevoked(_)
            ) => {}
            None => self.violation(None, format!("no client can have submitted {record:?}")),
        }
    }

    /// No record was acknowledged before an operation with a lower number was invoked.
    pub fn check_order(&mut self, record: &Record, fitting: &[CommandOrigin]) {
        let invoked = fitting
            .iter()
            .filter_map(|origin| Some((self.history.operations[origin.op].attempts.first()?.invoked, origin.op)));
        let Some((invoked, op)) = invoked.min() else { return };
        if let (Some(acknowledged), Some((latest, by))) =
            (self.acknowledged.get(&record.number), self.latest_invocation)
            && *acknowledged < latest
        {
            let number = record.number;
            self.violation(
                Some(op),
                format!("record {number} was reported before operation {by} was invoked, which has a lower number"),
            );
        }
        self.latest_invocation = self.latest_invocation.max(Some((invoked, op)));
    }
}
