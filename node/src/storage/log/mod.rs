//! The Raft log: the truth, and the only thing that is synced before an answer.
//!
//! Callers change the view in memory and queue the work; one writer brings it to the disk in the same order: it drains its
//! queue, writes one batch, syncs once, and then completes the callbacks. A write or a sync that fails is final: all that
//! waits gets the error, and nothing more is taken. Read [`store`](LogStore) first, then `writer`, `recovery`.

mod generation;
mod reader;
mod recent;
mod recovery;
mod shared;
mod store;
mod work;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::LogReader;
pub use store::LogStore;
pub use writer::LogWriter;

use super::types::LogId;

/// Least bytes that a log may be bounded to. Source: a database takes 2 MiB when it is new, and a generation has to be
/// larger than that, or each write would begin one.
#[cfg(not(feature = "simulation"))]
pub const LOG_BYTES_MIN: u64 = 32 * 1024 * 1024;
/// Least bytes that a log may be bounded to; a simulated database takes nothing when it is new.
#[cfg(feature = "simulation")]
pub const LOG_BYTES_MIN: u64 = 8 * 1024;

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
            generation_bytes: log_bytes.max(LOG_BYTES_MIN) / 8,
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
