//! How long ago something was, by the one of this machine's two clocks that shows more.
//!
//! On Linux the monotonic clock stops while the machine sleeps, and the wall clock can be set. A key whose age is
//! underestimated may have expired by the time it is sent; one whose age is overestimated ends a call too early.

use std::time::Duration;
#[cfg(not(feature = "simulation"))]
use std::time::SystemTime;

use tokio::time::Instant;

/// When something was started, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    instant: Instant,
    /// The simulation has one clock, which repeats itself.
    #[cfg(not(feature = "simulation"))]
    wall: SystemTime,
}

impl Stopwatch {
    /// Starts now.
    #[cfg_attr(
        not(feature = "simulation"),
        expect(clippy::disallowed_methods, reason = "can only make a wait look longer")
    )]
    pub fn start() -> Stopwatch {
        Stopwatch {
            instant: Instant::now(),
            #[cfg(not(feature = "simulation"))]
            wall: SystemTime::now(),
        }
    }

    /// The time since it was started.
    pub fn elapsed(&self) -> Duration {
        self.instant.elapsed().max(self.elapsed_by_wall())
    }

    /// What is left of `time`, which began with it.
    pub fn left_of(&self, time: Duration) -> Duration {
        time.saturating_sub(self.elapsed())
    }

    /// Nothing where the wall clock was set back.
    #[cfg(not(feature = "simulation"))]
    #[expect(clippy::disallowed_methods, reason = "can only make a wait look longer")]
    fn elapsed_by_wall(&self) -> Duration {
        SystemTime::now().duration_since(self.wall).unwrap_or_default()
    }

    #[cfg(feature = "simulation")]
    fn elapsed_by_wall(&self) -> Duration {
        Duration::ZERO
    }

    /// One that was started so long ago, just before the machine was suspended.
    #[cfg(all(test, not(feature = "simulation")))]
    #[expect(clippy::disallowed_methods, reason = "no machine sleeps for a test")]
    pub fn slept_through(time: Duration) -> Stopwatch {
        Stopwatch { instant: Instant::now(), wall: SystemTime::now() - time }
    }
}

#[cfg(not(feature = "simulation"))]
#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the clock that can be set")]
    fn of_two_clocks_the_one_that_went_further_counts() {
        assert!(Stopwatch::start().elapsed() < HOUR);
        assert!(Stopwatch::slept_through(HOUR).elapsed() >= HOUR);
        assert_eq!(Stopwatch::slept_through(HOUR).left_of(HOUR), Duration::ZERO);
        let started = Instant::now() - Duration::from_secs(1);
        let set_back = Stopwatch { instant: started, wall: SystemTime::now() + HOUR };
        assert!(set_back.elapsed() >= Duration::from_secs(1) && set_back.elapsed() < HOUR);
    }
}
