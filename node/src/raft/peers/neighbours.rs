//! What is heard of the other members: how far they are, what their clocks and digests say.
//!
//! Invariant: digests are compared at equal positions only, and a difference, once seen, is never forgotten.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::link::message::Heartbeat;
use crate::raft::apply::clocks::verdict::ClocksHeard;
use crate::raft::apply::replica::Shared;

/// A member not heard for so long is not healthy.
const HEARD_WITHIN: Duration = Duration::from_millis(1_000);
/// A clock read over a round trip longer than this says nothing.
const CLOCK_ROUND_TRIP: Duration = Duration::from_millis(1_000);
/// A clock read longer ago than this says nothing.
const CLOCK_WITHIN: Duration = Duration::from_millis(2_000);

/// What was last heard of one member.
#[derive(Debug, Clone)]
struct Neighbour {
    heard: Instant,
    leader: Option<u64>,
    applied: u64,
    incarnation: ledger::Incarnation,
    failure: Option<String>,
    /// Its clock, in milliseconds since the Unix epoch, and when it was read.
    clock: Option<(u64, Instant)>,
    differs: bool,
}

/// What a member last said of itself.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The leader that it has signs of life of.
    pub leader: Option<u64>,
    /// Its position.
    pub applied: u64,
    /// Its data directory.
    pub incarnation: ledger::Incarnation,
    /// Heard lately, and well.
    pub healthy: bool,
}

/// All that is heard of the others.
#[derive(Debug, Default)]
pub struct Neighbours(Mutex<BTreeMap<u64, Neighbour>>);

impl Neighbours {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Neighbour>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a member said, and compares its digest with ours where both have its position.
    pub fn hear(&self, said: &Heartbeat, shared: &Shared) {
        let differs = shared.digest_at(said.applied).is_some_and(|ours| ours != said.digest);
        let mut all = self.lock();
        let neighbour = all.entry(said.node).or_insert_with(|| Neighbour {
            heard: Instant::now(),
            leader: said.leader,
            applied: said.applied,
            incarnation: said.incarnation,
            failure: None,
            clock: None,
            differs: false,
        });
        if differs && !neighbour.differs {
            tracing::error!(peer = said.node, position = said.applied, "digests differ");
        }
        neighbour.heard = Instant::now();
        neighbour.leader = said.leader;
        neighbour.applied = said.applied;
        neighbour.incarnation = said.incarnation;
        neighbour.failure.clone_from(&said.failure);
        neighbour.differs |= differs;
    }

    /// Takes in a member's clock, asked at `asked` and answered now.
    pub fn hear_clock(&self, node: u64, theirs_ms: u64, asked: Instant) {
        if asked.elapsed() > CLOCK_ROUND_TRIP {
            return;
        }
        if let Some(neighbour) = self.lock().get_mut(&node) {
            neighbour.clock = Some((theirs_ms, Instant::now()));
        }
    }

    /// Forgets all that are not to be kept: they were removed.
    pub fn keep(&self, is_kept: impl Fn(u64) -> bool) {
        self.lock().retain(|node, _| is_kept(*node));
    }

    /// What was last heard of a member.
    pub fn heard(&self, node: u64) -> Option<Heard> {
        self.lock().get(&node).map(|neighbour| Heard {
            leader: neighbour.leader,
            applied: neighbour.applied,
            incarnation: neighbour.incarnation,
            healthy: neighbour.heard.elapsed() < HEARD_WITHIN && neighbour.failure.is_none(),
        })
    }

    /// The furthest position heard of; 0 where none was.
    pub fn furthest(&self) -> u64 {
        self.lock().values().map(|neighbour| neighbour.applied).max().unwrap_or(0)
    }

    /// The members whose digest was seen to differ from ours.
    pub fn differing(&self) -> Vec<u64> {
        self.lock().iter().filter(|(_, neighbour)| neighbour.differs).map(|(node, _)| *node).collect()
    }

    /// What the clocks heard lately say of ours, which shows `ours_ms`. They go on with the monotonic clock meanwhile, so that
    /// a clock of ours that was set just now shows at once.
    pub fn clocks(&self, ours_ms: u64) -> ClocksHeard {
        let off = |(theirs_ms, read): (u64, Instant)| {
            let passed = read.elapsed();
            let off = i128::from(theirs_ms) + i128::try_from(passed.as_millis()).ok()? - i128::from(ours_ms);
            (passed < CLOCK_WITHIN).then(|| i64::try_from(off).unwrap_or(if off < 0 { i64::MIN } else { i64::MAX }))
        };
        let others: Vec<i64> = self.lock().values().filter_map(|neighbour| neighbour.clock.and_then(off)).collect();
        ClocksHeard::of(&others)
    }
}
