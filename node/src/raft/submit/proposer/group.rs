//! A group of commands that waits to be proposed, and how large groups and entries may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::raft::peers::link::message::{Commands, Unavailable};
use crate::storage::types::Decisions;

/// Most commands in an entry, and in a group. Source: a batch of the contract has up to 8,000.
pub(super) const ENTRY_COMMANDS: usize = 8_192;
/// Bytes after which an entry takes no further group; one group alone may be larger, up to [`GROUP_BYTES`].
pub(super) const ENTRY_BYTES: usize = 1024 * 1024;
/// Most bytes of one group, so that its entry fits a frame of the peer link with room to spare.
pub(super) const GROUP_BYTES: usize = 6 * 1024 * 1024;

/// The caller waits, and the group is in no entry.
pub(super) const WAITING: u8 = 0;
/// It is in an entry, or about to be.
const TAKEN: u8 = 1;
/// The caller stopped waiting before.
pub(super) const GIVEN_UP: u8 = 2;

/// Commands of one caller, which stay together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) commands: Commands,
    pub(super) bytes: usize,
    /// Its place in the queue, one permit a command, given back when the group is taken. The permits bound the queue.
    pub(super) _held: OwnedSemaphorePermit,
    /// Whether it is taken, or given up by its caller, whichever comes first.
    pub(super) stage: Arc<AtomicU8>,
    pub(super) answer: oneshot::Sender<Result<Decisions, Unavailable>>,
}

impl Group {
    /// Whether the caller still waits; from here on it counts as proposed.
    pub(super) fn take(&self) -> bool {
        self.stage.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
