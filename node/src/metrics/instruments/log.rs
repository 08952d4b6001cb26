//! The Raft log's syncs, which every acknowledged charge waits for.

use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Syncs of the log. Clones share it.
#[derive(Debug, Clone)]
pub struct LogInstruments {
    sync_seconds: Histogram,
}

impl Default for LogInstruments {
    fn default() -> Self {
        // 0.1 ms to 1.6 s: from a disk with a battery to one that stalls.
        Self { sync_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 15)) }
    }
}

impl LogInstruments {
    /// One sync of the log took so long. It makes all that was queued durable.
    pub fn synced(&self, took: Duration) {
        self.sync_seconds.observe(took.as_secs_f64());
    }

    pub(in crate::metrics) fn register(&self, registry: &mut Registry) {
        registry.register(
            "log_sync_duration_seconds",
            "How long one sync of the Raft log took; each makes durable all that waited",
            self.sync_seconds.clone(),
        );
    }
}
