//! What one node counts of leadership, of commands that failed, of its peers and of histories sent to them.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::labelled::LabelledCounters;

/// Why a group of commands got no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalFailure {
    /// No leader with a quorum could be reached in time.
    NoLeader = 0,
    /// A queue or a table was full.
    Overloaded = 1,
    /// A disk had no room.
    DiskFull = 2,
    /// It may be done or not.
    OutcomeUnknown = 3,
}

/// The labels of [`ProposalFailure`], in its order: the API's codes.
const FAILURES: [&str; 4] = ["no_leader", "overloaded", "disk_full", "outcome_unknown"];

/// See the head of this file. Clones share it.
#[derive(Debug, Clone)]
pub struct NodeInstruments {
    leaders: Counter,
    /// The term and the leader that were seen last.
    leader: Arc<Mutex<Option<(u64, u64)>>>,
    failed: LabelledCounters<{ FAILURES.len() }>,
    round_trips: RoundTrips,
    /// Transfers of history to peers.
    pub sent: SentHistory,
}

impl Default for NodeInstruments {
    fn default() -> Self {
        Self {
            leaders: Counter::default(),
            leader: Arc::default(),
            failed: LabelledCounters::new("reason", FAILURES),
            round_trips: RoundTrips::default(),
            sent: SentHistory::default(),
        }
    }
}

impl NodeInstruments {
    /// Raft knows this leader in this term; counted once.
    pub fn leader(&self, term: u64, leader: u64) {
        let mut last = self.leader.lock();
        if *last != Some((term, leader)) {
            *last = Some((term, leader));
            self.leaders.inc();
        }
    }

    /// A group of commands got no decision.
    pub fn failed(&self, why: ProposalFailure) {
        self.failed.add(why as usize, 1);
    }

    /// A peer answered this node's status after so long.
    pub fn round_trip(&self, peer: u64, took: Duration) {
        self.round_trips.observe(peer, took);
    }

    /// Forgets the peers that were removed.
    pub fn keep_peers(&self, is_kept: impl Fn(u64) -> bool) {
        self.round_trips.0.lock().retain(|peer, _| is_kept(*peer));
    }

    pub(in crate::metrics) fn register(&self, registry: &mut Registry) {
        let leaders = "Leaders that this node saw since its start, each once a term";
        registry.register("leader_changes_seen", leaders, self.leaders.clone());
        let failed = "Groups of commands of this node's callers that got no decision, by reason";
        registry.register("proposals_failed", failed, self.failed.clone());
        let round_trips = "How long a peer took to answer this node's status, five times a second";
        registry.register("peer_round_trip_seconds", round_trips, self.round_trips.clone());
        let (transfers, pages) = ("Transfers of history to a peer that were begun", "Pages of history sent to peers");
        registry.register("snapshot_transfers_sent", transfers, self.sent.transfers.clone());
        registry.register("snapshot_pages_sent", pages, self.sent.pages.clone());
    }
}

/// What was sent of the history to peers that lack it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SentHistory {
    transfers: Counter,
    pages: Counter,
}

impl SentHistory {
    /// A peer was asked what it lacks.
    pub fn begun(&self) {
        self.transfers.inc();
    }

    /// So many pages were sent.
    pub fn pages(&self, count: u64) {
        self.pages.inc_by(count);
    }
}

/// One histogram a peer, by its number: as many as there are members.
#[derive(Debug, Clone, Default)]
struct RoundTrips(Arc<Mutex<BTreeMap<u64, Histogram>>>);

impl RoundTrips {
    fn observe(&self, peer: u64, took: Duration) {
        // 0.1 ms, one machine, to 1.6 s, longer than a status is waited for.
        let new = || Histogram::new(exponential_buckets(0.000_1, 2.0, 15));
        self.0.lock().entry(peer).or_insert_with(new).observe(took.as_secs_f64());
    }
}

impl EncodeMetric for RoundTrips {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), Error> {
        for (peer, histogram) in &*self.0.lock() {
            histogram.encode(encoder.encode_family(&[("peer", *peer)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_counted_once_a_term() {
        let instruments = NodeInstruments::default();
        for (term, leader) in [(1, 2), (1, 2), (2, 2), (2, 2), (3, 1), (3, 1)] {
            instruments.leader(term, leader);
        }
        assert_eq!(instruments.leaders.get(), 3);
    }
}
