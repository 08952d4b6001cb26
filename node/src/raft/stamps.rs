//! The stamps that ledger time is made of: the wall clock, as long as it goes on as it went.
//!
//! Invariant: a clock that was set forward or back stamps nothing until it was compared with the others' again. Ledger
//! time only grows, so one stamp two days ahead would forget every idempotency key.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ledger::Time;
use tokio::time::Instant;

use super::neighbours::{CLOCK_OFF_MS, ClockVerdict};
use crate::runtime::Clock;

/// How long a clock that was set waits for the others' before it is taken as it is: those that can be heard, are.
const ALONE_AFTER: Duration = Duration::from_secs(2);

/// Gives stamps.
#[derive(Debug)]
pub struct Stamps {
    clock: Clock,
    anchor: Mutex<Anchor>,
}

/// Where the clock stood when it was last trusted, and since when it is not.
#[derive(Debug)]
struct Anchor {
    wall_ms: u64,
    at: Instant,
    set_at: Option<Instant>,
}

impl Anchor {
    fn new(wall_ms: u64) -> Self {
        Self { wall_ms, at: Instant::now(), set_at: None }
    }

    /// Whether the clock goes on from here as time did.
    fn holds(&self, wall_ms: u64) -> bool {
        let gone_ms = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        wall_ms.abs_diff(self.wall_ms.saturating_add(gone_ms)) <= CLOCK_OFF_MS.unsigned_abs()
    }
}

impl Stamps {
    /// Trusts the clock as it is at the start; it is compared with the others' as soon as they are heard.
    pub fn new(clock: Clock) -> Self {
        let anchor = Mutex::new(Anchor::new(clock.now_ms()));
        Self { clock, anchor }
    }

    /// The present time; `None` while the clock was set and not yet compared.
    pub fn now(&self) -> Option<Time> {
        let now_ms = self.clock.now_ms();
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        (anchor.set_at.is_none() && anchor.holds(now_ms)).then_some(Time(now_ms))
    }

    /// Whether the clock was set since it was last trusted, and this is the first look that finds it.
    pub fn was_set(&self) -> bool {
        let now_ms = self.clock.now_ms();
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let found = anchor.set_at.is_none() && !anchor.holds(now_ms);
        if found {
            anchor.set_at = Some(Instant::now());
        }
        found
    }

    /// Takes what the comparison with the others says.
    pub fn judge(&self, verdict: ClockVerdict) {
        let now_ms = self.clock.now_ms();
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let is_trusted = match verdict {
            ClockVerdict::Good => true,
            ClockVerdict::Off(_) => false,
            ClockVerdict::TooFew => anchor.set_at.is_none_or(|set_at| set_at.elapsed() >= ALONE_AFTER),
        };
        if is_trusted {
            if anchor.set_at.is_some() {
                tracing::warn!(?verdict, "the clock was set, and is taken as it is now");
            }
            *anchor = Anchor::new(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const LATER_MS: u64 = 172_800_000;

    fn stamps() -> (Arc<AtomicU64>, Stamps) {
        let wall = Arc::new(AtomicU64::new(1_000_000));
        let read = wall.clone();
        (wall, Stamps::new(Clock::from_fn(move || read.load(Ordering::SeqCst))))
    }

    /// As if the last trusted look, and the finding that the clock was set, had been so long ago.
    fn ago(stamps: &Stamps, passed: Duration) {
        let mut anchor = stamps.anchor.lock().unwrap();
        anchor.at = anchor.at.checked_sub(passed).unwrap();
        anchor.set_at = anchor.set_at.map(|at| at.checked_sub(passed).unwrap());
    }

    #[test]
    fn a_clock_that_was_set_stamps_nothing_until_it_is_found_good() {
        let (wall, stamps) = stamps();
        assert_eq!(stamps.now(), Some(Time(1_000_000)));
        wall.store(LATER_MS, Ordering::SeqCst);
        assert_eq!(stamps.now(), None, "at once, before anybody looked");
        assert!(stamps.was_set() && !stamps.was_set(), "told once");
        stamps.judge(ClockVerdict::TooFew);
        assert_eq!(stamps.now(), None);
        stamps.judge(ClockVerdict::Off(171_800_000));
        assert_eq!(stamps.now(), None);
        stamps.judge(ClockVerdict::Good);
        assert_eq!(stamps.now(), Some(Time(LATER_MS)));
    }

    #[test]
    fn a_clock_that_nobody_can_compare_is_taken_after_a_while() {
        let (wall, stamps) = stamps();
        wall.store(LATER_MS, Ordering::SeqCst);
        assert!(stamps.was_set());
        ago(&stamps, ALONE_AFTER);
        stamps.judge(ClockVerdict::TooFew);
        assert_eq!(stamps.now(), Some(Time(LATER_MS)));
    }

    #[test]
    fn time_that_passes_is_no_jump() {
        let (wall, stamps) = stamps();
        ago(&stamps, Duration::from_secs(60));
        wall.fetch_add(61_000, Ordering::SeqCst);
        assert_eq!(stamps.now(), Some(Time(1_061_000)));
        assert!(!stamps.was_set());
    }
}
