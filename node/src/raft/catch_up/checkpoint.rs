//! Checkpoints: the history on disk is brought up to the state in memory, so that the log may be purged.
//!
//! Invariant: a checkpoint names no position beyond the log that is synced here: an entry is applied once a quorum has
//! it, perhaps before the own disk does. While a snapshot is being received, no checkpoint is written.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

use ledger::State;

use super::image::Images;
use crate::raft::apply::replica::Published;
use crate::runtime;
use crate::storage::{Checkpoint, History, LogStore, StorageError};

/// Longest pause between two checkpoints where something changed. Source: a restart applies the log from the last one on,
/// which takes less time than it took to be written.
#[cfg(not(feature = "simulation"))]
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Longest pause between two checkpoints where something changed; a simulated run is short.
#[cfg(feature = "simulation")]
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Bytes of new pages that are not left to wait for that. Source: their records are in memory until then, at several times
/// their size, and a restart applies about so much in a second.
const NEW_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Longest wait for the own log to hold what is applied already.
const SYNC_WAIT: Duration = Duration::from_secs(5);
/// How often that is checked.
const SYNC_POLL: Duration = Duration::from_millis(1);

/// Writes checkpoints, one at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Checkpointer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    published: Arc<Published>,
    history: Arc<History>,
    log: LogStore,
    images: Arc<Images>,
    /// Held while the durable part of the history changes.
    turn: Mutex<()>,
    /// When the last one was written; before the first, when the node was started.
    written: parking_lot::Mutex<Instant>,
}

impl Checkpointer {
    /// Over this node's replica, history and log; `last_image` are the records and the bytes of the last image.
    pub(crate) fn new(published: Arc<Published>, history: Arc<History>, log: LogStore, last_image: (u64, u64)) -> Self {
        let images = Images::new(history.clone(), last_image);
        let written = parking_lot::Mutex::new(Instant::now());
        Self(Arc::new(Inner { published, history, log, images, turn: Mutex::new(()), written }))
    }

    /// Keeps checkpoints away until the guard is dropped: pages of a snapshot lie beyond the last one.
    pub(crate) async fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// The last durable checkpoint.
    pub(crate) fn last(&self) -> Checkpoint {
        self.0.history.checkpoint()
    }

    /// Time since the last one was written, or else since the node was started.
    pub(crate) fn age(&self) -> Duration {
        self.0.written.lock().elapsed()
    }

    /// Time since the last image of the state was written, or else since the node was started; and its records, 0 for none.
    pub(crate) fn image(&self) -> (Duration, u64) {
        self.0.images.last()
    }

    /// Whether enough is new, or was new for long enough, for another checkpoint. `last` is when one was tried last.
    pub(crate) fn is_due(&self, last: Instant) -> bool {
        is_due(self.0.history.unwritten_bytes(), last.elapsed())
    }

    /// Brings the history up to the present state, where something changed; the last checkpoint otherwise, and also
    /// where a snapshot is being received.
    pub(crate) async fn write(&self) -> Result<Checkpoint, StorageError> {
        let Ok(_turn) = self.0.turn.try_lock() else { return Ok(self.last()) };
        // A failed node leaves its disk as it was.
        if self.0.published.health.failure().borrow().is_some() {
            return Ok(self.last());
        }
        let (to, imaged) = self.present();
        if to.applied == self.last().applied || !self.wait_for_log(&to).await {
            return Ok(self.last());
        }
        let (history, written) = (self.0.history.clone(), to.clone());
        runtime::on_disk(async move { history.write(written).await })
            .await
            .map_err(|unfinished| StorageError::Stopped { reason: unfinished.to_string() })??;
        *self.0.written.lock() = Instant::now();
        if let Some(state) = imaged {
            self.0.images.write(state);
        }
        Ok(to)
    }

    /// The checkpoint of what is applied, and a copy of that state where an image of it is due.
    fn present(&self) -> (Checkpoint, Option<State>) {
        let replica = self.0.published.replica();
        let is_whole = replica.state.records() == replica.whole.0;
        let imaged = (is_whole && self.0.images.is_due(replica.whole.0)).then(|| replica.state.clone());
        let to = Checkpoint {
            applied: replica.log_id,
            membership: replica.membership.clone(),
            records: replica.whole.0,
            digest: replica.whole.1,
            rules: replica.rules,
        };
        (to, imaged)
    }

    /// Whether the own log came to hold, durably, all that `to` names.
    async fn wait_for_log(&self, to: &Checkpoint) -> bool {
        let deadline = Instant::now() + SYNC_WAIT;
        let Some(applied) = to.applied else { return false };
        while self.0.log.durable_end() <= applied.index {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(SYNC_POLL).await;
        }
        true
    }
}

fn is_due(new_bytes: u64, passed: Duration) -> bool {
    new_bytes >= NEW_BYTES_MAX || passed >= PAUSE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_due_by_bytes_or_by_time() {
        let seconds = Duration::from_secs;
        assert!(!is_due(NEW_BYTES_MAX - 1, seconds(4)), "not every second");
        assert!(is_due(NEW_BYTES_MAX, Duration::ZERO), "memory is bounded");
        assert!(is_due(0, seconds(5)), "and so is the time to apply the log at a start");
    }
}
