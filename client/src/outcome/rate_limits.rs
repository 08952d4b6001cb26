//! The servers that take no more of this API key for now, and until when.
//!
//! Each node limits the rate by itself, so the others are tried before the call waits.

use std::time::Duration;

use tokio::time::Instant;

/// Index of a server, and until when it takes nothing. Empty for nearly all calls.
#[derive(Debug, Default)]
pub(crate) struct RateLimits(Vec<(usize, Instant)>);

impl RateLimits {
    /// Server `index` is sent nothing until then.
    pub(crate) fn exclude(&mut self, index: usize, until: Instant) {
        self.0.retain(|(limited, _)| *limited != index);
        self.0.push((index, until));
    }

    /// The first server from `index` on, of `servers`, that takes something; otherwise how long until one does.
    pub(crate) fn next(&self, index: usize, servers: usize, now: Instant) -> Result<usize, Duration> {
        let waits = |index: &usize| self.0.iter().any(|(limited, until)| limited == index && *until > now);
        let mut turns = (0..servers).map(|step| index.wrapping_add(step) % servers);
        turns.find(|index| !waits(index)).ok_or_else(|| self.wait(now).unwrap_or_default())
    }

    /// How long until the first of them takes something again; `None` where none asks to wait.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.0.iter().map(|(_, until)| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_asks_to_wait_is_left_out_until_then_and_the_first_that_is_ready_ends_the_wait() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut limited = RateLimits::default();
        assert_eq!((limited.next(4, 3, now), limited.wait(now)), (Ok(1), None));
        limited.exclude(1, after(90));
        assert_eq!((limited.next(4, 3, now), limited.wait(now)), (Ok(2), Some(Duration::from_secs(90))));
        limited.exclude(2, after(30));
        limited.exclude(0, after(60));
        assert_eq!(limited.next(4, 3, now), Err(Duration::from_secs(30)));
        assert_eq!(limited.next(4, 3, after(40)), Ok(2));
        limited.exclude(2, after(45));
        assert_eq!(limited.next(4, 3, after(40)), Err(Duration::from_secs(5)), "its last answer counts");
    }
}
