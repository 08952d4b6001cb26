//! The line of ledger time: its value, and how it advances with the monotonic clock.
//!
//! Unit: nanoseconds since the Unix epoch. Invariant: from one update to the next it gains at most a hundredth on the monotonic
//! clock and loses at most a tenth, whatever the wall clock says that it follows. So a key that is remembered for a window of
//! ledger time is remembered for 99 hundredths of that in real time at least.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The term without a leader: Raft's first leader has term 1.
pub(crate) const NO_TERM: u64 = 0;
const NANOS_PER_MS: i128 = 1_000_000;
/// The part of the time that passed by which the line gains at most, to catch up with a clock that is ahead.
const GAIN: i128 = 100;
/// The part by which it loses at most, to let a clock that is behind catch up: that only keeps keys for longer.
const LOSS: i128 = 10;

/// Where a node takes ledger time to be, as it sends it to its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerTime {
    /// The term of the leader that it comes from; [`NO_TERM`] for the estimate from the node's own clocks after a start.
    pub term: u64,
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
}

/// See the head of this file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// The term of the leader that it comes from.
    pub term: u64,
    nanos: i128,
    at: Instant,
}

impl Line {
    /// Starts at the beginning of that millisecond: with each start and each change of the leader it is late by less than one,
    /// and never early.
    pub(crate) fn new(said: LedgerTime, now: Instant) -> Self {
        Self { term: said.term, nanos: first_of(said.ms), at: now }
    }

    /// The same, of the leader of `term`.
    pub(crate) fn of_term(self, term: u64) -> Self {
        Self { term, ..self }
    }

    /// Where it is `now`, advanced with the monotonic clock, in milliseconds.
    pub(crate) fn ms_at(&self, now: Instant) -> u64 {
        u64::try_from(self.free(now) / NANOS_PER_MS).unwrap_or(u64::MAX)
    }

    fn free(&self, now: Instant) -> i128 {
        self.nanos.saturating_add(nanos(now.saturating_duration_since(self.at)))
    }

    /// Advances until `now`, towards `wanted_ms` as far as it may, or with the monotonic clock alone.
    pub(crate) fn advance(&mut self, now: Instant, wanted_ms: Option<u64>) {
        let passed = nanos(now.saturating_duration_since(self.at));
        let free = self.free(now);
        let wanted = wanted_ms.map_or(free, |ms| free.clamp(first_of(ms), last_of(ms)));
        let most = free.saturating_add(passed / GAIN);
        self.nanos = wanted.clamp(free.saturating_sub(passed / LOSS), most);
        self.at = now;
    }

    /// Is at `ms` at least: the state's time never goes back.
    pub(crate) fn reach(&mut self, ms: u64) {
        self.nanos = self.nanos.max(first_of(ms));
    }
}

fn first_of(ms: u64) -> i128 {
    i128::from(ms) * NANOS_PER_MS
}

fn last_of(ms: u64) -> i128 {
    first_of(ms) + NANOS_PER_MS - 1
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn line(now: Instant) -> Line {
        Line::new(LedgerTime { term: 1, ms: 1_000_000 }, now)
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_clock_that_agrees_is_followed_to_the_millisecond() {
        let start = Instant::now();
        let mut line = line(start);
        for step in 1..=10_000 {
            let now = start + Duration::from_micros(step * 137);
            let wall_ms = 1_000_000 + step * 137 / 1_000;
            line.advance(now, Some(wall_ms));
            assert_eq!(line.ms_at(now), wall_ms, "after {step} steps");
        }
    }

    #[test]
    fn a_clock_ahead_is_gained_on_by_a_hundredth_however_often_it_is_asked() {
        let start = Instant::now();
        for pause_ms in [1, 7, 10_000] {
            let mut line = line(start);
            (1..=10_000 / pause_ms).for_each(|step| {
                line.advance(after(start, step * pause_ms), Some(1_000_000 + DAY_MS));
            });
            let ms = line.ms_at(after(start, 10_000 / pause_ms * pause_ms));
            assert!((1_009_900..=1_010_101).contains(&ms), "{ms} at steps of {pause_ms} ms");
        }
    }

    #[test]
    fn a_clock_behind_slows_it_by_a_tenth_and_never_turns_it_back() {
        let start = Instant::now();
        let mut line = line(start);
        line.advance(after(start, 10_000), Some(0));
        assert_eq!(line.ms_at(after(start, 10_000)), 1_009_000);
        line.advance(after(start, 20_000), Some(1_018_500));
        assert_eq!(line.ms_at(after(start, 20_000)), 1_018_500, "no further back than the clock");
    }

    #[test]
    fn without_a_clock_it_advances_with_time() {
        let start = Instant::now();
        let mut line = line(start);
        line.advance(after(start, 500), None);
        assert_eq!(line.ms_at(after(start, 700)), 1_000_700);
    }

    #[test]
    fn the_farthest_clocks_do_no_harm() {
        let start = Instant::now();
        let mut line = Line::new(LedgerTime { term: 1, ms: u64::MAX }, start);
        line.advance(after(start, 10), Some(u64::MAX));
        assert_eq!(line.ms_at(after(start, 10)), u64::MAX);
        line.advance(after(start, 20), Some(0));
    }
}
