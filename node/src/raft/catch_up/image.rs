//! Images of the state: when one is written.
//!
//! A start reads the image and replays the pages behind it ([`super::replay`]). One is written once as many bytes of pages have
//! come as it has itself: so images at most double what is written, and a start replays at most as much as it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ledger::State;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::runtime;
use crate::storage::{History, StorageError};

/// Least bytes of pages between two images. Source: they are replayed in about a second.
#[cfg(not(feature = "simulation"))]
const NEW_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Least bytes of pages between two images; a simulated run has some hundred records.
#[cfg(feature = "simulation")]
const NEW_BYTES_MIN: u64 = 4 * 1024;

/// When the next image is due: once as many bytes of pages are new as the last one has, and so many at least.
#[derive(Debug)]
pub(crate) struct ImageDue {
    /// Records in the last image, and its bytes; zero before the first.
    records: AtomicU64,
    bytes: AtomicU64,
    new_bytes_min: u64,
}

impl ImageDue {
    /// After a start from an image of so many records and bytes; zeros for none.
    pub(crate) fn after(last: (u64, u64), new_bytes_min: u64) -> Self {
        Self { records: AtomicU64::new(last.0), bytes: AtomicU64::new(last.1), new_bytes_min }
    }

    /// Whether one should be written of so many records.
    pub(crate) fn is_due(&self, records: u64) -> bool {
        let new = records.saturating_sub(self.records.load(Ordering::Relaxed));
        History::bytes_of(new) >= self.new_bytes_min.max(self.bytes.load(Ordering::Relaxed))
    }

    /// One of so many records and bytes was written.
    pub(crate) fn written(&self, records: u64, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.records.store(records, Ordering::Relaxed);
    }

    /// None was written of so many records: the next one is tried after as much again.
    pub(crate) fn failed(&self, records: u64) {
        self.records.store(records, Ordering::Relaxed);
    }
}

/// Writes the images of a node's state. One is written at a time.
#[derive(Debug)]
pub(crate) struct Images {
    history: Arc<History>,
    due: ImageDue,
    at_work: AtomicBool,
    /// The records of the last one, 0 for none, and when it was written, or else when the node was started.
    last: Mutex<(u64, Instant)>,
}

impl Images {
    /// After a start from `last`, its records and its bytes.
    pub(crate) fn new(history: Arc<History>, last: (u64, u64)) -> Arc<Self> {
        let due = ImageDue::after(last, NEW_BYTES_MIN);
        let last = Mutex::new((last.0, Instant::now()));
        Arc::new(Self { history, due, at_work: AtomicBool::new(false), last })
    }

    /// Time since the last one was written, or else since the node was started; and its records, 0 for none.
    pub(crate) fn last(&self) -> (Duration, u64) {
        let (records, written) = *self.last.lock();
        (written.elapsed(), records)
    }

    /// Whether one should be written once `records` are durable.
    pub(crate) fn is_due(&self, records: u64) -> bool {
        !self.at_work.load(Ordering::Relaxed) && self.due.is_due(records)
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
                    this.due.written(records, bytes);
                    *this.last.lock() = (records, Instant::now());
                    tracing::debug!(records, bytes, "image written");
                }
                // The next start takes longer; the disk's own failures are seen by what needs it.
                Err(error) => {
                    this.due.failed(records);
                    tracing::warn!(%error, "no image of the state written");
                }
            }
            this.at_work.store(false, Ordering::Relaxed);
        });
    }
}
