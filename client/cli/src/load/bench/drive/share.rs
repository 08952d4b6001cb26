//! What all workers of one process share: when requests start, how many charges are left, and what was counted.
//!
//! Times begin with the warm-up; a request belongs to it by its intended start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::kind::Kind;
use super::pacer::Pacer;
use super::tally::{Ended, Tally, Times};
use crate::load::provision::Provisioned;

/// A share of a run, of one process.
pub(crate) struct Share {
    pub(crate) sellers: Vec<Provisioned>,
    /// How long one request is repeated at most: half of the time for which its keys are remembered.
    pub(crate) retry_for: Duration,
    pub(crate) start: Instant,
    /// When the warm-up ends.
    pub(crate) measured_from: Instant,
    pub(crate) end: Instant,
    /// Requests that may still charge; `None` where only time ends it.
    pub(crate) charges_left: Option<AtomicU64>,
    /// The schedule of an open loop.
    pub(crate) pacer: Option<Pacer>,
    pub(crate) tally: Mutex<Tally>,
}

impl Share {
    /// Waits until a worker that is free may start a request, and says when that is meant to start; `None` after the end.
    pub(crate) async fn next_start(&self) -> Option<Instant> {
        let free_since = Instant::now();
        let Some(pacer) = &self.pacer else { return (free_since < self.end).then_some(free_since) };
        let intended = self.start + pacer.next().await?;
        if intended >= self.measured_from {
            let lag = Instant::now().saturating_duration_since(intended.max(free_since));
            self.tally().lagged(lag);
        }
        Some(intended)
    }

    /// Whether one more request may charge.
    pub(crate) fn take_charge(&self) -> bool {
        let Some(left) = &self.charges_left else { return true };
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// The limit of charges is reached.
    pub(crate) fn cut_short(&self) {
        self.tally().is_cut_short = true;
    }

    pub(crate) fn count(&self, kind: Kind, seller: usize, intended: Instant, ended: &Ended) {
        let now = Instant::now();
        let since = |at: Instant| at.checked_duration_since(self.measured_from);
        let took = now.saturating_duration_since(intended);
        let times = Times { intended: since(intended), ended: since(now), took };
        self.tally().count(kind, seller, times, ended);
    }

    pub(crate) fn failed(&self, what: String) {
        self.tally().failed(what);
    }

    /// The tally, once all workers have ended. A request of the schedule that was never sent counts as what it had waited at
    /// the end: without it the percentiles would leave out the worst.
    pub(crate) fn finish(self) -> Tally {
        let untaken = self.pacer.as_ref().map_or_else(Vec::new, |pacer| pacer.untaken(self.end - self.start));
        let mut tally = self.tally.into_inner().expect("no worker panics while it counts");
        if tally.is_cut_short {
            return tally;
        }
        for (intended, requests) in untaken {
            let intended = self.start + intended;
            if intended >= self.measured_from {
                tally.never_sent(self.end.saturating_duration_since(intended), requests);
            }
        }
        tally
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no worker panics while it counts")
    }

    #[cfg(test)]
    pub(crate) fn of_one_seller(secret: &str) -> Share {
        let now = Instant::now();
        Share {
            sellers: vec![Provisioned { seller_id: uuid::Uuid::from_u128(1), key: secret.to_owned() }],
            retry_for: Duration::from_mins(1),
            start: now,
            measured_from: now,
            end: now,
            charges_left: None,
            pacer: None,
            tally: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pacer::Schedule;
    use super::*;

    #[tokio::test]
    async fn a_late_answer_counts_from_the_intended_start_and_what_was_never_sent_counts_too() {
        let mut share = Share::of_one_seller("etb_x");
        let length = Duration::from_millis(100);
        share.end = share.start + length;
        let schedule = Schedule { rate: 100, processes: 1, share: 0 };
        share.pacer = Some(Pacer::start(schedule, share.start.into_std(), length).unwrap());
        let answered = Ended { is_answered: true, accepted: 1, ..Ended::default() };
        // One connection that is busy for the whole time with the first request.
        let intended = share.next_start().await.unwrap();
        tokio::time::sleep_until(share.end + Duration::from_millis(200)).await;
        share.count(Kind::Charge, 0, intended, &answered);
        assert_eq!(share.next_start().await, None);
        let tally = share.finish();
        assert_eq!((tally.accepted, tally.unsent()), (1, 9));
        let all = tally.all_latencies();
        assert!((40_000..=51_000).contains(&all.quantile(0.5)), "{}", all.quantile(0.5));
        assert!(all.max() >= 300_000, "{}", all.max());
    }

    #[test]
    fn charges_are_limited() {
        let mut share = Share::of_one_seller("etb_x");
        assert!(share.take_charge());
        share.charges_left = Some(AtomicU64::new(1));
        assert_eq!([share.take_charge(), share.take_charge(), share.take_charge()], [true, false, false]);
    }
}
