//! The schedule of an open loop: when each request is meant to start, whatever became of those before it.
//!
//! Requests of one process start at equal distances. A thread counts them out, since the runtime's timer has a resolution of
//! a millisecond, and the rest would count as latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Shortest wait between two looks at the clock: requests that fall into it start together.
const SHORTEST: Duration = Duration::from_micros(100);

/// How long after the end requests that were due before it may still start. Source: several time slices of a busy machine.
const LATE: Duration = Duration::from_millis(100);

/// Equal distances, for one process of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Requests a second, of all processes.
    pub(crate) rate: u32,
    pub(crate) processes: u32,
    /// Which process this is, from 0.
    pub(crate) share: u32,
}

impl Schedule {
    /// When request `number` of this process is meant to start, since the beginning.
    pub(crate) fn start_of(self, number: u64) -> Duration {
        let of_all = u128::from(number) * u128::from(self.processes) + u128::from(self.share);
        let nanos = of_all * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many requests of this process are meant to start before `elapsed`.
    pub(crate) fn due(self, elapsed: Duration) -> u64 {
        // Request n starts before `elapsed` where (n * processes + share) * 10^9 / rate, rounded down, is below it.
        let of_all = (elapsed.as_nanos() * u128::from(self.rate)).div_ceil(1_000_000_000);
        let before = of_all.saturating_sub(u128::from(self.share)).div_ceil(u128::from(self.processes));
        u64::try_from(before).unwrap_or(u64::MAX)
    }
}

/// Counts out the requests of a schedule.
#[derive(Debug)]
pub(crate) struct Pacer {
    schedule: Schedule,
    /// A permit for each request that is due; closed at the end.
    due: Arc<Semaphore>,
    taken: AtomicU64,
    /// Dropped with the pacer, which ends the thread.
    _ends: Sender<()>,
}

impl Pacer {
    /// Starts the thread. It ends when all is taken that is due within `length` after `start`, or soon after that time.
    pub(crate) fn start(schedule: Schedule, start: Instant, length: Duration) -> std::io::Result<Pacer> {
        let due = Arc::new(Semaphore::new(0));
        let (ends, ended) = channel::<()>();
        let permits = Arc::clone(&due);
        let thread = std::thread::Builder::new().name("pacer".to_owned());
        thread.spawn(move || {
            count_out(schedule, start, length, &permits, &ended);
            permits.close();
        })?;
        Ok(Pacer { schedule, due, taken: AtomicU64::new(0), _ends: ends })
    }

    /// Waits until a request is due, and says when it was meant to start, since the beginning; `None` after the end.
    pub(crate) async fn next(&self) -> Option<Duration> {
        self.due.acquire().await.ok()?.forget();
        Some(self.schedule.start_of(self.taken.fetch_add(1, Ordering::Relaxed)))
    }

    /// Requests meant to start within `length` that nobody took, as when the first of a group was meant to start, and how
    /// many there are. Groups are a millisecond long at most, so that there are not too many.
    pub(crate) fn untaken(&self, length: Duration) -> Vec<(Duration, u64)> {
        let all = self.schedule.due(length);
        let group = u64::from(self.schedule.rate / self.schedule.processes / 1_000).max(1);
        let mut groups = Vec::new();
        let mut next = self.taken.load(Ordering::Relaxed);
        while next < all {
            let count = group.min(all - next);
            groups.push((self.schedule.start_of(next), count));
            next += count;
        }
        groups
    }
}

/// Gives a permit for each request that is due, until the end of the schedule or of the pacer.
fn count_out(schedule: Schedule, start: Instant, length: Duration, permits: &Semaphore, ended: &Receiver<()>) {
    let mut given = 0;
    loop {
        let elapsed = start.elapsed();
        let now_due = schedule.due(elapsed.min(length));
        permits.add_permits(usize::try_from(now_due - given).unwrap_or(usize::MAX));
        given = now_due;
        // The last ones are sent late rather than not at all, where this thread or a free worker was late.
        if elapsed >= length && (permits.available_permits() == 0 || elapsed > length + LATE) {
            return;
        }
        let next = schedule.start_of(given).min(length);
        match ended.recv_timeout(next.saturating_sub(start.elapsed()).max(SHORTEST)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_processes_together_start_at_the_rate() {
        for (rate, processes) in [(1, 1), (3, 2), (1_000, 3), (999_999, 7)] {
            let shares = (0..processes).map(|share| Schedule { rate, processes, share });
            let sum: u64 = shares.clone().map(|schedule| schedule.due(Duration::from_secs(10))).sum();
            assert_eq!(sum, u64::from(rate) * 10, "{rate} a second in {processes} processes");
            for schedule in shares {
                let due = schedule.due(Duration::from_secs(1));
                assert!(due == 0 || schedule.start_of(due - 1) < Duration::from_secs(1));
                assert!(schedule.start_of(due) >= Duration::from_secs(1));
            }
        }
    }

    #[tokio::test]
    async fn requests_are_given_out_in_order_and_the_rest_is_known() {
        let (start, length) = (Instant::now(), Duration::from_millis(50));
        let schedule = Schedule { rate: 1_000, processes: 1, share: 0 };
        let pacer = Pacer::start(schedule, start, length).unwrap();
        for number in 0..10 {
            let intended = pacer.next().await.unwrap();
            assert_eq!(intended, Duration::from_millis(number));
            assert!(start.elapsed() >= intended, "never early");
        }
        while !pacer.due.is_closed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(pacer.next().await, None);
        let untaken = pacer.untaken(length);
        assert_eq!(untaken.first(), Some(&(Duration::from_millis(10), 1)));
        assert_eq!(untaken.iter().map(|(_, count)| count).sum::<u64>(), 40);
    }
}
