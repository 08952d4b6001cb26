//! Ledger time against real time, from outside: no idempotency key is forgotten before its window of real time has passed, and
//! ledger time is never far ahead, as long as at most one clock is wrong at a time.

use std::collections::HashMap;

use ledger::{Record, SYSTEM_ACTOR};

use crate::book::{Line, Pages};
use crate::host::BEGINNING_MS;

/// When things happened, in simulated milliseconds since the beginning.
#[derive(Debug)]
pub struct Times<'a> {
    /// When each record was first applied anywhere.
    pub seen_ms: &'a [u64],
    /// How long keys are remembered.
    pub window_ms: u64,
    /// How far ledger time may be ahead of real time; none where more clocks were wrong than is promised to do no harm.
    pub slack_ms: Option<u64>,
}

/// The last decision under a key.
#[derive(Debug, Clone, Copy)]
struct Decided {
    not_before_ms: u64,
    seen_ms: u64,
}

impl Times<'_> {
    /// What is broken, with the op that it is about.
    pub(super) fn breaches(&self, pages: &Pages, records: &[Record]) -> Vec<(String, Option<usize>)> {
        let Some(slack_ms) = self.slack_ms else { return Vec::new() };
        let mut broken = Vec::new();
        let asked = first_asked(pages);
        // The gain of a hundredth is what ledger time may make up for.
        let kept_ms = (self.window_ms - self.window_ms / 100).saturating_sub(slack_ms);
        let mut decided: HashMap<(u64, &str), Decided> = HashMap::new();
        for (record, seen_ms) in records.iter().zip(self.seen_ms) {
            let real_ms = BEGINNING_MS + seen_ms;
            if record.time.0 > real_ms + slack_ms {
                let ahead_ms = record.time.0 - real_ms;
                broken.push((format!("ledger time is {ahead_ms} ms ahead of real time at {record:?}"), None));
                break;
            }
            let Some(key) = record.idempotency_key.as_ref().filter(|_| record.actor != SYSTEM_ACTOR) else { continue };
            let key = (record.actor, key.as_str());
            let first = asked.get(&key).copied();
            let Some(last) = decided.get(&key).copied() else {
                // It was not decided before it was asked for.
                let not_before_ms = first.map_or(0, |(asked_ms, _)| asked_ms);
                decided.insert(key, Decided { not_before_ms, seen_ms: *seen_ms });
                continue;
            };
            // Nor is a key decided anew before the last decision was seen.
            decided.insert(key, Decided { not_before_ms: last.seen_ms, seen_ms: *seen_ms });
            let after_ms = seen_ms - last.not_before_ms;
            if after_ms < kept_ms {
                let what = format!("a key was forgotten after {after_ms} ms of {}: {record:?}", self.window_ms);
                broken.push((what, first.map(|(_, op)| op)));
            }
        }
        broken
    }
}

/// When a command was first asked for under each key, and by which op.
fn first_asked(pages: &Pages) -> HashMap<(u64, &str), (u64, usize)> {
    let mut asked = HashMap::new();
    for (at_ms, line) in &pages.story {
        let Line::Asked(op, _) = line else { continue };
        for command in &pages.ops[*op].commands {
            let Some(key) = &command.idempotency_key else { continue };
            asked.entry((command.actor, key.as_str())).or_insert((*at_ms, *op));
        }
    }
    asked
}
