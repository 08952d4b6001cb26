//! Images of the state: when one is written.
//!
//! A start reads the image and replays the pages behind it ([`super::replay`]). One is written once as many bytes of pages have come as it has
//! itself: so images at most double what is written, and a start replays at most as much as it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ledger::State;

use crate::runtime;
use crate::storage::{History, StorageError};

/// Least bytes of pages between two images. Source: they are replayed in about a second.
#[cfg(not(feature = "simulation"))]
const NEW_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Least bytes of pages between two images; a simulated run has some hundred records.
#[cfg(feature = "simulation")]
const NEW_BYTES_MIN: u64 = 4 * 1024;

/// When the next image of a node is due. One is written at a time.
#[derive(Debug)]
pub(crate) struct Images {
    history: Arc<History>,
    /// Records in the last image, and its bytes; zero before the first.
    records: AtomicU64,
    bytes: AtomicU64,
    at_work: AtomicBool,
}

impl Images {
    /// After a start from `last`, its records and its bytes.
    pub(crate) fn new(history: Arc<History>, last: (u64, u64)) -> Arc<Self> {
        let (records, bytes) = (AtomicU64::new(last.0), AtomicU64::new(last.1));
        Arc::new(Self { history, records, bytes, at_work: AtomicBool::new(false) })
    }

    /// Whether one should be written once `records` are durable.
    pub(crate) fn is_due(&self, records: u64) -> bool {
        let new = records.saturating_sub(self.records.load(Ordering::Relaxed));
        !self.at_work.load(Ordering::Relaxed)
            && History::bytes_of(new) >= NEW_BYTES_MIN.max(self.bytes.load(Ordering::Relaxed))
    }

    /// Writes one in the background. All records of `state` are durable.
    pub(crate) fn write(self: &Arc<Self>, state: State) {
        if self.at_work.swap(true, Ordering::Relaxed) {
            return;
        }
        let (this, records) = (self.clone(), state.records());
        runtime::spawn(async move {
            let history = this.history.clone();
            let written = runtime::blocking(move || history.write_image(&state)).await;
            match written.map_err(StorageError::from).and_then(|written| written) {
                Ok(bytes) => {
                    this.bytes.store(bytes, Ordering::Relaxed);
                    tracing::debug!(records, bytes, "image written");
                }
                // The next start takes longer; the disk's own failures are seen by what needs it.
                Err(error) => tracing::warn!(%error, "no image of the state written"),
            }
            // Also where it failed: the next one is tried after as much again.
            this.records.store(records, Ordering::Relaxed);
            this.at_work.store(false, Ordering::Relaxed);
        });
    }
}
