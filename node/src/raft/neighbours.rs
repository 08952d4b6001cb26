//! What is heard of the other members: how far they are, what their clocks and digests say.
//!
//! Invariant: digests are compared at equal positions only, and a difference, once seen, is never forgotten.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::link::message::Heartbeat;
use super::replica::Shared;

/// A member not heard for so long is not healthy.
const HEARD_WITHIN: Duration = Duration::from_millis(1_000);
/// A clock read over a round trip longer than this says nothing.
const CLOCK_ROUND_TRIP: Duration = Duration::from_millis(1_000);
/// A clock further from the median than this does not stamp ledger time, in milliseconds.
pub const CLOCK_OFF_MS: i64 = 5_000;
/// Fewer clocks than this have no meaningful median.
const CLOCKS: usize = 3;

/// What was last heard of one member.
#[derive(Debug, Clone)]
struct Neighbour {
    heard: Instant,
    leader: Option<u64>,
    applied: u64,
    incarnation: ledger::Incarnation,
    failure: Option<String>,
    /// Its clock less ours, in milliseconds, and when that was found.
    clock: Option<(i64, Instant)>,
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

/// How this member's clock stands among those heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockVerdict {
    /// Too few were heard to judge.
    TooFew,
    /// Near the median.
    Good,
    /// So many milliseconds ahead of the median (behind, where negative).
    Off(i64),
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

    /// Takes in a member's clock, asked at `asked` and answered now, when ours was `ours_ms`.
    pub fn hear_clock(&self, node: u64, theirs_ms: u64, ours_ms: u64, asked: Instant) {
        if asked.elapsed() > CLOCK_ROUND_TRIP {
            return;
        }
        let off = i64::try_from(i128::from(theirs_ms) - i128::from(ours_ms)).unwrap_or(i64::MAX);
        if let Some(neighbour) = self.lock().get_mut(&node) {
            neighbour.clock = Some((off, Instant::now()));
        }
    }

    /// Forgets what the others' clocks said: ours was set since.
    pub fn forget_clocks(&self) {
        self.lock().values_mut().for_each(|neighbour| neighbour.clock = None);
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

    /// How our clock stands.
    pub fn clock_verdict(&self) -> ClockVerdict {
        let fresh = |(off, found): (i64, Instant)| (found.elapsed() < HEARD_WITHIN * 2).then_some(off);
        let mut offs: Vec<i64> = self.lock().values().filter_map(|neighbour| neighbour.clock.and_then(fresh)).collect();
        offs.push(0);
        judge_clock(offs)
    }
}

/// `offs` are all clocks less ours, ours (0) included.
fn judge_clock(mut offs: Vec<i64>) -> ClockVerdict {
    if offs.len() < CLOCKS {
        return ClockVerdict::TooFew;
    }
    offs.sort_unstable();
    let median = offs.get(offs.len() / 2).copied().unwrap_or(0);
    if median.saturating_abs() > CLOCK_OFF_MS { ClockVerdict::Off(median.saturating_neg()) } else { ClockVerdict::Good }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clock_of_three_that_is_ahead_is_off() {
        assert_eq!(judge_clock(vec![-9_000, -9_001, 0]), ClockVerdict::Off(9_000));
    }

    #[test]
    fn a_clock_near_the_median_is_good_whatever_another_says() {
        assert_eq!(judge_clock(vec![172_800_000, 12, 0]), ClockVerdict::Good);
    }

    #[test]
    fn two_clocks_are_too_few_to_judge() {
        assert_eq!(judge_clock(vec![90_000, 0]), ClockVerdict::TooFew);
    }
}
