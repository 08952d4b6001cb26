//! What is wrong with this node: why it must stop, and what keeps it from proposing or leading meanwhile.
//!
//! Invariant: a failure is final, and its first reason stays. Everything else ends when its cause does.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// The health of one node; healthy at first.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failure: watch::Sender<Option<String>>,
    /// The log grows faster than it is purged.
    log_crowded: AtomicBool,
    /// The disk has no more room than is kept in reserve.
    disk_full: AtomicBool,
    /// The disk of the log or of the history has not answered for longer than an election takes.
    disk_stalled: watch::Sender<bool>,
    /// No leader has been reachable for a while, and no election will change that.
    out_of_reach: watch::Sender<bool>,
}

impl Health {
    /// Stores whether the log grows faster than it is purged.
    pub(crate) fn set_log_crowded(&self, crowded: bool) {
        self.log_crowded.store(crowded, Ordering::Relaxed);
    }

    /// Whether the log grows faster than it is purged: the proposer waits a little.
    pub(crate) fn is_log_crowded(&self) -> bool {
        self.log_crowded.load(Ordering::Relaxed)
    }

    /// Stores whether the disk has no more room than is kept in reserve; returns whether that changed.
    pub(crate) fn set_disk_full(&self, full: bool) -> bool {
        self.disk_full.swap(full, Ordering::Relaxed) != full
    }

    /// Whether the disk has no more room than is kept in reserve: nothing new is proposed here.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    /// Stores whether a disk stalls; returns whether that changed.
    pub(crate) fn set_disk_stalled(&self, stalled: bool) -> bool {
        self.disk_stalled.send_if_modified(|was| std::mem::replace(was, stalled) != stalled)
    }

    /// Whether a disk stalls. Meanwhile Raft may be blocked on it, and its view out of date.
    pub(crate) fn is_disk_stalled(&self) -> bool {
        *self.disk_stalled.borrow()
    }

    /// The same, to wait for.
    pub(crate) fn disk_stalled(&self) -> watch::Receiver<bool> {
        self.disk_stalled.subscribe()
    }

    /// Stores whether callers should fail fast.
    pub(crate) fn set_out_of_reach(&self, out: bool) {
        self.out_of_reach.send_if_modified(|was| std::mem::replace(was, out) != out);
    }

    /// Whether callers should fail fast, since this node reaches no leader and no election will change that.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        *self.out_of_reach.borrow()
    }

    /// Returns once that is so.
    pub(crate) async fn falls_out_of_reach(&self) {
        // The sender lives as long as this.
        drop(self.out_of_reach.subscribe().wait_for(|out| *out).await);
    }

    /// Records why the node must stop; the first reason stays.
    pub(crate) fn fail(&self, reason: String) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                tracing::error!(%reason, "node stopped");
                *failure = Some(reason);
            }
            first
        });
    }

    /// Why the node must stop, to wait for.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }
}
