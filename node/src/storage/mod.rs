//! The storage: sled and the byte layout of the disk are known here and nowhere else.
//!
//! Read in this order: [`disk`] (what a disk must promise), [`mod@format`] (bytes on it), [`types`] (what Raft
//! stores), [`log`] (synced before an answer), [`history`] (pages of records, and the position they hold).

pub mod disk;
pub mod error;
pub mod format;
pub mod history;
pub mod log;
#[cfg(any(test, feature = "simulation", feature = "fuzzing"))]
pub mod model;
pub mod open;
pub mod types;

pub use disk::{Batch, Disk, Disks, SledDisks, free_bytes};
pub use error::StorageError;
pub use history::{Checkpoint, History, Page, PlainCheckpoint, TimeMark};
pub use log::{LOG_BYTES_MIN, LogReader, LogSettings, LogStore, LogWriter};
pub use open::NodeDisks;
pub use types::{Decided, Decisions, LogId, NodeAddresses, Payload, StoredMembership, TypeConfig, Vote};
