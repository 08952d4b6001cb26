//! What a run counted: in one process by all of its workers, and then of all processes together.
//!
//! Units: microseconds, charges, requests. What began in the warm-up counts for the books, and its failures are told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::timeline::Timeline;
use crate::load::latencies::Latencies;

/// Kinds of failure that are told apart, since servers write part of their texts.
const FAILURES_MAX: usize = 64;
const OTHERS: &str = "another failure";

/// What a run counted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// From the intended start of a request to its end, by kind.
    pub(crate) latency: BTreeMap<Kind, Latencies>,
    /// Of requests that the schedule asked for and that were never sent: how long they had waited at the end.
    unsent: Latencies,
    /// How late requests were sent though a connection was free: the generator's own fault.
    pub(crate) start_lag: Latencies,
    /// Answered.
    pub(crate) requests: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) retried: u64,
    pub(crate) reads: u64,
    pub(crate) timeline: Timeline,
    /// Accepted, by index of the seller.
    pub(crate) by_seller: BTreeMap<usize, u64>,
    /// Charges that may have been done and got no answer that says so, by index of the seller.
    pub(crate) open_by_seller: BTreeMap<usize, u64>,
    /// The newest entry of the journal that an answer named.
    pub(crate) newest_entry: u64,
    /// What went wrong, and how often.
    pub(crate) failures: BTreeMap<String, u64>,
    /// When the last request ended, since the warm-up.
    last_us: u64,
    /// The limit of charges ended it.
    pub(crate) is_cut_short: bool,
    /// Share of one core that the busiest generator took; `None` where the system does not say.
    pub(crate) generator_cpu: Option<f64>,
}

/// How one request ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// An answer decided it.
    pub(crate) is_answered: bool,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Charges of it, or the read, that got no answer.
    pub(crate) errors: u64,
    /// Charges of it that may have been done all the same.
    pub(crate) open: u64,
    /// The newest entry that its answer named; 0 where it named none.
    pub(crate) entry: u64,
    /// Attempts after the first one.
    pub(crate) retried: u64,
}

/// When a request began and ended, since the warm-up; `None` before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) intended: Option<Duration>,
    pub(crate) ended: Option<Duration>,
    pub(crate) took: Duration,
}

impl Tally {
    /// Counts a request of `kind`, for `seller`.
    pub(crate) fn count(&mut self, kind: Kind, seller: usize, times: Times, ended: &Ended) {
        if ended.accepted > 0 {
            *self.by_seller.entry(seller).or_default() += ended.accepted;
        }
        if ended.open > 0 {
            *self.open_by_seller.entry(seller).or_default() += ended.open;
        }
        self.newest_entry = self.newest_entry.max(ended.entry);
        let took_us = micros(times.took);
        if let Some(at) = times.ended {
            self.last_us = self.last_us.max(micros(at));
            if ended.is_answered {
                self.timeline.count(at, kind, ended.accepted, took_us);
            }
        }
        if times.intended.is_none() {
            return;
        }
        self.latency.entry(kind).or_default().record(took_us);
        self.requests += u64::from(ended.is_answered);
        self.accepted += ended.accepted;
        self.refused += ended.refused;
        self.errors += ended.errors;
        self.retried += ended.retried;
        self.reads += u64::from(ended.is_answered && kind == Kind::Read);
    }

    /// Counts requests of the schedule that were never sent, and how long each had waited at the end.
    pub(crate) fn never_sent(&mut self, waited: Duration, requests: u64) {
        self.unsent.record_times(micros(waited), requests);
    }

    /// The generator was late by this.
    pub(crate) fn lagged(&mut self, lag: Duration) {
        self.start_lag.record(micros(lag));
    }

    pub(crate) fn failed(&mut self, what: String) {
        let is_kept = self.failures.len() < FAILURES_MAX || self.failures.contains_key(&what);
        *self.failures.entry(if is_kept { what } else { OTHERS.to_owned() }).or_default() += 1;
    }

    pub(crate) fn merge(&mut self, other: &Tally) {
        for (kind, latencies) in &other.latency {
            self.latency.entry(*kind).or_default().merge(latencies);
        }
        self.unsent.merge(&other.unsent);
        self.start_lag.merge(&other.start_lag);
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.errors += other.errors;
        self.retried += other.retried;
        self.reads += other.reads;
        self.timeline.merge(&other.timeline);
        add_all(&mut self.by_seller, &other.by_seller);
        add_all(&mut self.open_by_seller, &other.open_by_seller);
        self.newest_entry = self.newest_entry.max(other.newest_entry);
        add_all(&mut self.failures, &other.failures);
        self.last_us = self.last_us.max(other.last_us);
        self.is_cut_short |= other.is_cut_short;
        self.generator_cpu = match (self.generator_cpu, other.generator_cpu) {
            (Some(mine), Some(theirs)) => Some(mine.max(theirs)),
            (one, other) => one.or(other),
        };
    }

    /// How many requests of the schedule were never sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.unsent.count()
    }

    /// Of all requests, with those that were never sent.
    pub(crate) fn all_latencies(&self) -> Latencies {
        let mut all = self.unsent.clone();
        for latencies in self.latency.values() {
            all.merge(latencies);
        }
        all
    }

    /// How long it measured, and what ended meanwhile: as planned, or until the limit of charges ended it.
    pub(crate) fn measured(&self, planned: Duration) -> (Duration, Timeline) {
        let last = Duration::from_micros(self.last_us.max(1));
        if self.is_cut_short && last < planned {
            return (last, self.timeline.clone());
        }
        (planned, self.timeline.until(planned))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn add_all<K: Ord + Clone>(mine: &mut BTreeMap<K, u64>, theirs: &BTreeMap<K, u64>) {
    for (key, count) in theirs {
        *mine.entry(key.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARGED: Ended =
        Ended { is_answered: true, accepted: 1, refused: 0, errors: 0, open: 0, entry: 7, retried: 2 };

    /// A request's start and end, in microseconds.
    fn times(intended: Option<u64>, ended: Option<u64>) -> Times {
        let after = |at: Option<u64>| at.map(Duration::from_micros);
        Times { intended: after(intended), ended: after(ended), took: Duration::from_micros(50) }
    }

    #[test]
    fn the_warm_up_counts_for_the_books_alone() {
        let mut tally = Tally::default();
        tally.count(Kind::Charge, 3, times(None, None), &CHARGED);
        tally.count(Kind::Charge, 3, times(Some(10), Some(60)), &CHARGED);
        assert_eq!((tally.accepted, tally.requests, tally.retried, tally.by_seller[&3]), (1, 1, 2, 2));
        assert_eq!(tally.timeline.sum().charges, 1);
    }

    #[test]
    fn failures_of_many_kinds_are_all_counted() {
        let mut tally = Tally::default();
        (0..1_000).for_each(|number| tally.failed(format!("status 503 {number}")));
        tally.failed("status 503 0".to_owned());
        assert_eq!(tally.failures.len(), FAILURES_MAX + 1);
        assert_eq!((tally.failures["status 503 0"], tally.failures.values().sum::<u64>()), (2, 1_001));
    }

    #[test]
    fn tallies_are_the_same_after_their_way_between_processes() {
        let mut tally = Tally { unsent: Latencies::default(), generator_cpu: Some(0.5), ..Tally::default() };
        tally.count(Kind::Charge, 0, times(Some(0), Some(150_000)), &CHARGED);
        tally.count(Kind::Read, 0, times(Some(0), Some(250_000)), &Ended { accepted: 0, ..CHARGED });
        tally.failed("status 503".to_owned());
        let text = serde_json::to_string(&tally).unwrap();
        let mut other: Tally = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&other).unwrap(), text);
        other.merge(&tally);
        assert_eq!((other.accepted, other.reads, other.requests, other.failures["status 503"]), (2, 2, 4, 2));
        assert_eq!(other.all_latencies().count(), 4);
    }

    #[test]
    fn what_ends_after_the_window_is_no_part_of_its_rate() {
        let mut tally = Tally::default();
        for at in [0, 999_999, 1_000_000, 2_500_000] {
            tally.count(Kind::Charge, 0, times(Some(0), Some(at)), &CHARGED);
        }
        let counted = |tally: &Tally, planned| {
            let (window, timeline) = tally.measured(Duration::from_secs(planned));
            (window.as_millis(), timeline.sum().charges)
        };
        assert_eq!(counted(&tally, 1), (1_000, 2));
        assert_eq!(counted(&tally, 9), (9_000, 4));
        tally.is_cut_short = true;
        assert_eq!((counted(&tally, 1), counted(&tally, 9)), ((1_000, 2), (2_500, 4)));
    }
}
