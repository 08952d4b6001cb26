//! How long the cluster remembers idempotency keys, once a node has reported it to this client.
//!
//! Learned once for all clones of a client, and before the first repetition rather than before the first attempt: so a
//! charge that is answered at once costs no second request. It is fixed when a cluster is made.

use std::sync::OnceLock;
use std::time::Duration;

use etebar_api::ClusterStatus;

/// Shared by all clones of a client.
#[derive(Debug, Default)]
pub(crate) struct KeyWindow(OnceLock<Duration>);

impl KeyWindow {
    /// The window; `None` while no node has reported it.
    pub(crate) fn get(&self) -> Option<Duration> {
        self.0.get().copied()
    }

    /// Takes the window from a node's status; a node whose cluster is not bootstrapped reports none.
    pub(crate) fn learn(&self, status: &ClusterStatus) -> Option<Duration> {
        let window = Duration::from_secs(status.key_window_seconds?);
        Some(*self.0.get_or_init(|| window))
    }
}
