//! How far the end has come, for many connections at once: looked at on every wake, so it takes no lock.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How far the end has come. It only goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// All is served.
    Serving = 0,
    /// All is served, and each answer says that it is its connection's last, so that callers go elsewhere by themselves.
    Closing = 1,
    /// What is in flight is answered, and nothing more.
    Stopping = 2,
    /// What is still in flight is told that its time is over.
    Late = 3,
    /// Nothing is served.
    Ended = 4,
}

/// The stage, and a call to those who wait for the next one.
#[derive(Debug, Default)]
pub struct Shutdown {
    stage: AtomicU8,
    moved: Notify,
}

impl Shutdown {
    /// The stage now.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Closing,
            2 => Stage::Stopping,
            3 => Stage::Late,
            _ => Stage::Ended,
        }
    }

    /// Goes on to a stage, and wakes all who wait.
    pub fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.moved.notify_waiters();
    }

    /// The next move. To miss none: make the future and poll it once, then look at the stage.
    pub fn moved(&self) -> Notified<'_> {
        self.moved.notified()
    }
}
