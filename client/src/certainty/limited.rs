//! The servers that take no more of this API key for now, each until a moment of its own: a rate is the node's that says so,
//! so the others are asked before anybody waits.

use std::time::Duration;

use tokio::time::Instant;

/// See the head of this file. Empty for nearly all calls.
#[derive(Debug, Default)]
pub(in super::super) struct Limited(Vec<(usize, Instant)>);

impl Limited {
    /// Server `index` asks not to be sent anything until then.
    pub(in super::super) fn until(&mut self, index: usize, until: Instant) {
        self.0.retain(|(limited, _)| *limited != index);
        self.0.push((index, until));
    }

    /// The first server from `index` on, of `servers`, that takes something; otherwise how long until one does.
    pub(in super::super) fn next(&self, index: usize, servers: usize, now: Instant) -> Result<usize, Duration> {
        let waits = |index: &usize| self.0.iter().any(|(limited, until)| limited == index && *until > now);
        let mut turns = (0..servers).map(|step| index.wrapping_add(step) % servers);
        turns.find(|index| !waits(index)).ok_or_else(|| self.wait(now).unwrap_or_default())
    }

    /// How long until the first of them takes something again; `None` where none asks to wait.
    pub(in super::super) fn wait(&self, now: Instant) -> Option<Duration> {
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
        let mut limited = Limited::default();
        assert_eq!((limited.next(4, 3, now), limited.wait(now)), (Ok(1), None));
        limited.until(1, after(90));
        assert_eq!((limited.next(4, 3, now), limited.wait(now)), (Ok(2), Some(Duration::from_secs(90))));
        limited.until(2, after(30));
        limited.until(0, after(60));
        assert_eq!(limited.next(4, 3, now), Err(Duration::from_secs(30)));
        assert_eq!(limited.next(4, 3, after(40)), Ok(2));
        limited.until(2, after(45));
        assert_eq!(limited.next(4, 3, after(40)), Err(Duration::from_secs(5)), "what it said last counts");
    }
}
