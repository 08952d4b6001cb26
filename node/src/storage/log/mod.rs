//! The Raft log: the only thing that is synced before an answer.
//!
//! Callers change the view in memory and queue the work; one writer brings it to the disk in the same order: it drains its
//! queue, writes one batch, syncs once, and then completes the callbacks. A write or a sync that fails is final: all that
//! waits gets the error, and nothing more is taken. Read [`store`](LogStore) first, then `writer`, `recovery`.

mod attendant;
mod generation;
mod recovery;
mod store;
mod view;
mod work;
mod writer;

#[cfg(test)]
mod tests;

pub use store::LogStore;
pub use view::LogReader;
pub use writer::LogWriter;

use super::types::LogId;

/// Least bytes of a generation. Source: a database takes 2 MiB when it is new, and a generation has to be larger than
/// that, or each write would begin one.
#[cfg(not(feature = "simulation"))]
const GENERATION_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Least bytes of a generation; a simulated database takes nothing when it is new.
#[cfg(feature = "simulation")]
const GENERATION_BYTES_MIN: u64 = 1024;
/// Least bytes that a log may be bounded to: four of the least generations, one of which is being dropped. Source: with
/// two, batches of 4,000 charges from four callers took 9.0 MiB of 8; with four, 12.1 of 16 at most.
pub const LOG_BYTES_MIN: u64 = 4 * GENERATION_BYTES_MIN;

/// Bounds of the log.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// Bytes after which a new generation is begun.
    pub generation_bytes: u64,
    /// Bytes of recent, durable entries that are kept in memory for readers.
    pub memory_bytes: u64,
    /// Pieces of work that may wait for the writer; more make their caller wait.
    pub queue: usize,
    /// Most bytes that one read of the log for a follower gives, and about the most of one write.
    pub round_bytes: u64,
}

impl LogSettings {
    /// The bounds for a log that shall take no more than `log_bytes` on the disk, given that the caller checkpoints and
    /// purges when it takes half of that: an eighth a generation leaves room for the one being written.
    pub fn for_log_bytes(log_bytes: u64) -> Self {
        Self {
            generation_bytes: (log_bytes / 8).max(GENERATION_BYTES_MIN),
            memory_bytes: 16 * 1024 * 1024,
            queue: 256,
            round_bytes: 4 * 1024 * 1024,
        }
    }
}

/// The index after `id`: the first one where there is none.
fn next_index(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| id.index + 1)
}
