//! Records a run: the operations of clients and their outcomes, the trace of faults, and the violations.
//!
//! All of it in the order in which it happened: a run has one thread, so every event has a time of its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::{Command, RecordNumber};

use crate::command_port::{PortReply, ReadMode};
use crate::history::events::{
    Attempt, AttemptOutcome, HttpRead, LogicalTime, OperationHistory, PortRead, TraceEvent, Violation,
};

/// What was recorded.
#[derive(Debug, Default)]
pub struct RunHistory {
    time: LogicalTime,
    /// Every operation that was to be decided.
    pub operations: Vec<OperationHistory>,
    /// Every completed read over the command port.
    pub port_reads: Vec<PortRead>,
    /// Every completed read over HTTP.
    pub http_reads: Vec<HttpRead>,
    /// The trace, with the simulated time of each event in milliseconds.
    pub trace: Vec<(u64, TraceEvent)>,
    /// The largest record that any client was shown.
    pub acknowledged: RecordNumber,
    /// The violations, in the order in which they were found.
    pub violations: Vec<Violation>,
    hash: u64,
}

/// Records a run. Clones share what they record.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    history: Arc<Mutex<RunHistory>>,
    now_ms: Arc<AtomicU64>,
}

impl Recorder {
    /// What was recorded so far, locked.
    pub fn history(&self) -> MutexGuard<'_, RunHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, where it is not locked already.
    pub fn try_history(&self) -> Option<MutexGuard<'_, RunHistory>> {
        self.history.try_lock().ok()
    }

    /// Simulated milliseconds since the start.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Sets the time.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    fn write(&self, history: &mut RunHistory, event: TraceEvent) -> LogicalTime {
        history.time += 1;
        let mut hasher = DefaultHasher::new();
        (history.hash, self.now_ms(), &event).hash(&mut hasher);
        history.hash = hasher.finish();
        history.trace.push((self.now_ms(), event));
        history.time
    }

    /// A fault was injected or ended, or a node started or stopped.
    pub fn fault(&self, what: String) {
        self.write(&mut self.history(), TraceEvent::Fault(what));
    }

    /// A node leads.
    pub fn leader(&self, node: u64, term: u64) {
        self.write(&mut self.history(), TraceEvent::Leader(node, term));
    }

    /// A guarantee is violated.
    pub fn violation(&self, what: String) {
        self.violation_of(what, None);
    }

    /// A guarantee is violated by the answers to an operation.
    pub fn violation_of(&self, what: String, op: Option<usize>) {
        let at_ms = self.now_ms();
        self.history().violations.push(Violation { at_ms, what, op });
    }

    /// Whether a guarantee was violated.
    pub fn has_violation(&self) -> bool {
        !self.history().violations.is_empty()
    }

    /// A client starts an operation; its place.
    pub fn begin(&self, client: u64, commands: Vec<Command>) -> usize {
        let mut history = self.history();
        history.operations.push(OperationHistory { client, commands, attempts: Vec::new() });
        history.operations.len() - 1
    }

    /// An attempt at the operation is invoked; its place.
    pub fn invoke(&self, op: usize, node: Option<u64>) -> usize {
        let mut history = self.history();
        let attempt = history.operations[op].attempts.len();
        let invoked = self.write(&mut history, TraceEvent::Invoked(op, attempt));
        let acknowledged = history.acknowledged;
        history.operations[op].attempts.push(Attempt { node, acknowledged, invoked, completed: None });
        attempt
    }

    /// The attempt is completed.
    pub fn complete(&self, op: usize, attempt: usize, outcome: AttemptOutcome) {
        let mut history = self.history();
        let time = self.write(&mut history, TraceEvent::Completed(op, attempt));
        if let AttemptOutcome::Port(PortReply::Decided(decisions)) = &outcome {
            let mut hasher = DefaultHasher::new();
            (history.hash, decisions.position, decisions.outcomes.len()).hash(&mut hasher);
            for decided in &decisions.outcomes {
                if let etebar_node::raft::Decided::Recorded { record, .. } = decided {
                    record.number.hash(&mut hasher);
                    history.acknowledged = history.acknowledged.max(record.number);
                }
            }
            history.hash = hasher.finish();
        }
        if let AttemptOutcome::Http(response) = &outcome {
            let mut hasher = DefaultHasher::new();
            (history.hash, response.position, response.results.len()).hash(&mut hasher);
            for result in &response.results {
                let number = result.number();
                number.hash(&mut hasher);
                history.acknowledged = history.acknowledged.max(number.unwrap_or(0));
            }
            history.hash = hasher.finish();
        }
        history.operations[op].attempts[attempt].completed = Some((time, outcome));
    }

    /// A read over the command port is completed.
    pub fn port_read(&self, read: PortRead) {
        let mut history = self.history();
        let mut hasher = DefaultHasher::new();
        (history.hash, read.result.records, read.result.applied).hash(&mut hasher);
        history.hash = hasher.finish();
        if read.mode == ReadMode::Linearizable {
            history.acknowledged = history.acknowledged.max(read.result.records);
        }
        let place = history.port_reads.len();
        history.port_reads.push(read);
        self.write(&mut history, TraceEvent::PortRead(place));
    }

    /// A read over HTTP is completed.
    pub fn http_read(&self, read: HttpRead) {
        let mut history = self.history();
        let mut hasher = DefaultHasher::new();
        (history.hash, read.balance.applied, read.balance.balance).hash(&mut hasher);
        history.hash = hasher.finish();
        let place = history.http_reads.len();
        history.http_reads.push(read);
        self.write(&mut history, TraceEvent::HttpRead(place));
    }

    /// The hash of all that happened and of the final state.
    pub fn trace_hash(&self, digest: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (self.history().hash, digest).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}
