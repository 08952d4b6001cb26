//! What the other nodes last reported of themselves: position, leader, clock, digest, failure.
//!
//! Invariant: digests are compared at equal positions only, and a difference, once found, is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::link::message::StatusMessage;
use crate::raft::apply::replica::Published;
use crate::raft::ledger_time::line::NO_TERM;
use crate::raft::ledger_time::verdict::{ClockVerdict, ClocksReceived};

/// A node whose last status is older than this is not healthy.
const STATUS_WITHIN: Duration = Duration::from_secs(1);
/// A clock read over a round trip longer than this is not used.
const CLOCK_ROUND_TRIP: Duration = Duration::from_secs(1);
/// A clock read longer ago than this is not used.
const CLOCK_WITHIN: Duration = Duration::from_secs(2);

/// What was last received from one node.
#[derive(Debug, Clone)]
struct PeerEntry {
    received: Instant,
    leader: Option<u64>,
    applied: u64,
    incarnation: ledger::Incarnation,
    rules: u32,
    failure: Option<String>,
    /// Its clock, in milliseconds since the Unix epoch, and when it was read.
    clock: Option<(u64, Instant)>,
    /// Where it carried ledger time to, where it knows of no leader, and when it reported that.
    start: Option<(u64, Instant)>,
    differs: bool,
}

/// What a node last reported of itself.
#[derive(Debug, Clone)]
pub(crate) struct PeerStatus {
    /// The leader that it knows, while that one's status arrives; for itself, while a quorum answers.
    pub leader: Option<u64>,
    /// Its position.
    pub applied: u64,
    /// Its data directory.
    pub incarnation: ledger::Incarnation,
    /// The newest version of the rules that its build knows.
    pub rules: u32,
    /// Its status arrived within the last second and reports no failure.
    pub healthy: bool,
}

/// What is known of all the others.
#[derive(Debug, Default)]
pub(crate) struct PeerTable(Mutex<BTreeMap<u64, PeerEntry>>);

impl PeerTable {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, PeerEntry>> {
        self.0.lock()
    }

    /// Stores the status of a node, and compares its digest with ours where both have its position.
    pub(crate) fn record(&self, said: &StatusMessage, published: &Published) {
        let differs = published.digest_at(said.applied).is_some_and(|ours| ours != said.digest);
        let mut all = self.lock();
        let entry = all.entry(said.node).or_insert_with(|| PeerEntry {
            received: Instant::now(),
            leader: said.leader,
            applied: said.applied,
            incarnation: said.incarnation,
            rules: said.rules,
            failure: None,
            clock: None,
            start: None,
            differs: false,
        });
        if differs && !entry.differs {
            tracing::error!(peer = said.node, position = said.applied, "digests differ");
        }
        entry.received = Instant::now();
        entry.leader = said.leader;
        entry.applied = said.applied;
        entry.incarnation = said.incarnation;
        entry.rules = said.rules;
        entry.failure.clone_from(&said.failure);
        entry.differs |= differs;
    }

    /// Stores a node's clocks, requested at `asked` and received now.
    pub(crate) fn record_clock(&self, said: &StatusMessage, asked: Instant) {
        if asked.elapsed() > CLOCK_ROUND_TRIP {
            return;
        }
        if let Some(entry) = self.lock().get_mut(&said.node) {
            let now = Instant::now();
            entry.clock = Some((said.clock_ms, now));
            let start = said.ledger_time.filter(|time| time.term == NO_TERM);
            entry.start = start.map(|time| (time.ms, now));
        }
    }

    /// Forgets the nodes that were removed.
    pub(crate) fn keep(&self, is_kept: impl Fn(u64) -> bool) {
        self.lock().retain(|node, _| is_kept(*node));
    }

    /// The last status of a node.
    pub(crate) fn status(&self, node: u64) -> Option<PeerStatus> {
        self.lock().get(&node).map(|entry| PeerStatus {
            leader: entry.leader,
            applied: entry.applied,
            incarnation: entry.incarnation,
            rules: entry.rules,
            healthy: entry.received.elapsed() < STATUS_WITHIN && entry.failure.is_none(),
        })
    }

    /// The furthest position of the others; 0 where none was received.
    pub(crate) fn furthest(&self) -> u64 {
        self.lock().values().map(|entry| entry.applied).max().unwrap_or(0)
    }

    /// The nodes whose digest was seen to differ from ours.
    pub(crate) fn differing(&self) -> Vec<u64> {
        self.lock().iter().filter(|(_, entry)| entry.differs).map(|(node, _)| *node).collect()
    }

    /// How the clocks received lately compare with ours, which shows `ours_ms`. They advance with the
    /// monotonic clock meanwhile, so that a change of our own clock shows at once.
    pub(crate) fn clocks(&self, ours_ms: u64) -> ClocksReceived {
        let others: Vec<i64> = self.lock().values().filter_map(|entry| ahead(entry.clock?, ours_ms)).collect();
        ClocksReceived::of(&others)
    }

    /// How far each clock received lately is ahead of ours, which shows `ours_ms`, in milliseconds; by node.
    pub(crate) fn clock_offsets(&self, ours_ms: u64) -> Vec<(u64, i64)> {
        let all = self.lock();
        all.iter().filter_map(|(node, entry)| Some((*node, ahead(entry.clock?, ours_ms)?))).collect()
    }

    /// How a node's clock compares with ours, which shows `ours_ms`, and the others', as it may judge itself; `Alone` where it
    /// was not received lately.
    pub(crate) fn clock_of(&self, node: u64, ours_ms: u64) -> ClockVerdict {
        let all = self.lock();
        let Some(own) = all.get(&node).and_then(|entry| ahead(entry.clock?, ours_ms)) else {
            return ClockVerdict::Alone;
        };
        let others = all.iter().filter(|(id, _)| **id != node).filter_map(|(_, entry)| ahead(entry.clock?, ours_ms));
        let others: Vec<i64> = std::iter::once(0).chain(others).map(|other| other.saturating_sub(own)).collect();
        ClockVerdict::of(&others)
    }

    /// Where those of `voters` that know of no leader carried ledger time to, in milliseconds as of now. A learner may have
    /// joined just now: it carried nothing, and says what its clock shows.
    pub(crate) fn starts(&self, voters: &BTreeSet<u64>) -> Vec<u64> {
        let carried = |(theirs_ms, read): (u64, Instant)| {
            let passed = read.elapsed();
            let now_ms = theirs_ms.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
            (passed < CLOCK_WITHIN).then_some(now_ms)
        };
        let all = self.lock();
        let of_voters = all.iter().filter(|(node, _)| voters.contains(node));
        of_voters.filter_map(|(_, entry)| entry.start.and_then(carried)).collect()
    }
}

/// How far a clock, as it was read, is ahead of ours now, in milliseconds; `None` where it was read too long ago.
fn ahead((theirs_ms, read): (u64, Instant), ours_ms: u64) -> Option<i64> {
    let passed = read.elapsed();
    let ahead = i128::from(theirs_ms) + i128::try_from(passed.as_millis()).ok()? - i128::from(ours_ms);
    (passed < CLOCK_WITHIN).then(|| i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX }))
}
