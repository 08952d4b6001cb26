//! Ledger time against real time, from outside: no idempotency key is dropped before its window of real time has
//! passed, and ledger time is never far ahead, as long as at most one clock is wrong at a time.

use std::collections::HashMap;

use ledger::{Record, SYSTEM_ACTOR};

use crate::history::RunHistory;
use crate::history::events::TraceEvent;
use crate::network::START_MS;

/// When things happened, in simulated milliseconds since the beginning.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the unit comes last in a name")]
pub struct LedgerTimeCheck<'a> {
    /// When each record was first applied anywhere.
    pub applied_ms: &'a [u64],
    /// How long keys are remembered.
    pub window_ms: u64,
    /// How far ledger time may be ahead of real time; none where so many clocks were wrong that nothing is guaranteed.
    pub slack_ms: Option<u64>,
}

/// The last decision under a key.
#[derive(Debug, Clone, Copy)]
struct LastDecision {
    not_before_ms: u64,
    applied_ms: u64,
}

impl LedgerTimeCheck<'_> {
    /// The violations, each with the operation that it is about.
    pub fn violations(&self, history: &RunHistory, records: &[Record]) -> Vec<(String, Option<usize>)> {
        let Some(slack_ms) = self.slack_ms else { return Vec::new() };
        let mut violations = Vec::new();
        let invoked = first_invoked(history);
        // Ledger time may gain a hundredth to catch up.
        let kept_ms = (self.window_ms - self.window_ms / 100).saturating_sub(slack_ms);
        let mut decided: HashMap<(u64, &str), LastDecision> = HashMap::new();
        for (record, applied_ms) in records.iter().zip(self.applied_ms) {
            let real_ms = START_MS + applied_ms;
            if record.time.0 > real_ms + slack_ms {
                let ahead_ms = record.time.0 - real_ms;
                violations.push((format!("ledger time is {ahead_ms} ms ahead of real time at {record:?}"), None));
                break;
            }
            let Some(key) = record.idempotency_key.as_ref().filter(|_| record.actor != SYSTEM_ACTOR) else { continue };
            let key = (record.actor, key.as_str());
            let first = invoked.get(&key).copied();
            let Some(last) = decided.get(&key).copied() else {
                // It was not decided before it was invoked.
                let not_before_ms = first.map_or(0, |(invoked_ms, _)| invoked_ms);
                decided.insert(key, LastDecision { not_before_ms, applied_ms: *applied_ms });
                continue;
            };
            // Nor is a key decided anew before the last decision was seen.
            decided.insert(key, LastDecision { not_before_ms: last.applied_ms, applied_ms: *applied_ms });
            let after_ms = applied_ms - last.not_before_ms;
            if after_ms < kept_ms {
                let what = format!("a key was dropped after {after_ms} ms of {}: {record:?}", self.window_ms);
                violations.push((what, first.map(|(_, op)| op)));
            }
        }
        violations
    }
}

/// When a command was first invoked under each key, and by which operation.
fn first_invoked(history: &RunHistory) -> HashMap<(u64, &str), (u64, usize)> {
    let mut invoked = HashMap::new();
    for (at_ms, event) in &history.trace {
        let TraceEvent::Invoked(op, _) = event else { continue };
        for command in &history.operations[*op].commands {
            let Some(key) = &command.idempotency_key else { continue };
            invoked.entry((command.actor, key.as_str())).or_insert((*at_ms, *op));
        }
    }
    invoked
}
