//! How long to wait before the next attempt: growing, bounded, and different for every caller.

use std::time::Duration;

/// Before the first repetition on a server that was tried.
/// Source: about a third of the time in which a cluster with default settings elects another leader.
const FIRST: Duration = Duration::from_millis(50);
/// Never longer than this.
const LONGEST: Duration = Duration::from_secs(1);

/// The wait after `attempts` attempts on `servers` servers: each round over all of them doubles it, and up to
/// half of it is taken away at random. The first round hardly waits, since another server may be healthy.
pub(crate) fn pause(attempts: u32, servers: usize) -> Duration {
    let servers = u32::try_from(servers.max(1)).unwrap_or(u32::MAX);
    let rounds = attempts / servers;
    let full = match rounds {
        0 => FIRST / 10,
        rounds => FIRST.saturating_mul(1 << (rounds - 1).min(10)).min(LONGEST),
    };
    jittered(full)
}

/// Between half of `full` and all of it.
pub(crate) fn jittered(full: Duration) -> Duration {
    let half = full / 2;
    half + half.mul_f64(random_fraction())
}

/// A number from 0 to 1, the same ones in each run, in another order for each caller.
#[cfg(feature = "simulation")]
fn random_fraction() -> f64 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static TURN: AtomicU32 = AtomicU32::new(0);
    // The golden ratio spreads the multiples of it evenly.
    f64::from(TURN.fetch_add(0x9e37_79b9, Ordering::Relaxed)) / f64::from(u32::MAX)
}

/// A number from 0 to 1; the middle where the system offers no random bits.
#[cfg(not(feature = "simulation"))]
fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |value| f64::from(value) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_with_each_round_over_all_servers_and_is_bounded() {
        for (attempts, longest_ms) in
            [(1, 5), (2, 5), (3, 50), (5, 50), (6, 100), (9, 200), (18, 1_000), (3_000, 1_000)]
        {
            let wait = pause(attempts, 3);
            let longest = Duration::from_millis(longest_ms);
            assert!(wait >= longest / 2 && wait <= longest, "{wait:?} after {attempts} attempts");
        }
    }

    #[test]
    fn two_callers_do_not_wait_equally_long() {
        let waits: std::collections::HashSet<Duration> = (0..16).map(|_| pause(100, 1)).collect();
        assert!(waits.len() > 1);
    }
}
