//! How long the cluster remembers idempotency keys, as far as it has told this client.
//!
//! Learned once for all clones of a client, and before the first repetition rather than before the first attempt: so a
//! charge that is answered at once costs no second request. It is fixed when a cluster is made.

use std::sync::OnceLock;
use std::time::Duration;

use etebar_api::ClusterStatus;

/// See the head of this file.
#[derive(Debug, Default)]
pub(in super::super) struct KeyWindow(OnceLock<Duration>);

impl KeyWindow {
    /// As far as it is known.
    pub(in super::super) fn get(&self) -> Option<Duration> {
        self.0.get().copied()
    }

    /// Takes what a node says of its cluster; one that belongs to none yet says nothing.
    pub(in super::super) fn learn(&self, status: &ClusterStatus) -> Option<Duration> {
        let window = Duration::from_secs(status.key_window_seconds?);
        Some(*self.0.get_or_init(|| window))
    }
}
