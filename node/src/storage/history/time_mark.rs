//! Where ledger time stood by this node's clocks; beside the pages, so that ledger time outlives a stop of all nodes.

use serde::{Deserialize, Serialize};

use super::History;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::{Kind, codec};

/// Ledger time and this node's clocks, read at one instant. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeMark {
    /// Ledger time, since the Unix epoch.
    pub ledger_ms: u64,
    /// The node's wall clock, since the Unix epoch; `None` where it was set and not known to be right since.
    pub wall_ms: Option<u64>,
    /// The boot of the machine and the time since, where the machine gives it.
    pub uptime: Option<(u128, u64)>,
    /// How far a start left ledger time behind the clock, as far as it still is.
    pub owed_ms: u64,
}

impl History {
    /// The mark that was kept last; none before this node led or received ledger time.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn time_mark(&self) -> Result<Option<TimeMark>, StorageError> {
        let key = keys::time_mark();
        let sealed = self.disk.get(&key)?;
        let read = |sealed: Vec<u8>| codec::unseal_value(Kind::TimeMark, &key, &sealed, "the mark of ledger time");
        Ok(sealed.map(read).transpose()?)
    }

    /// Keeps a mark; it survives a power cut before this returns.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn keep_time_mark(&self, mark: &TimeMark) -> Result<(), StorageError> {
        let key = keys::time_mark();
        let sealed = codec::seal_value(Kind::TimeMark, &key, mark)?;
        self.disk.insert(&key, sealed)?;
        self.disk.sync().await
    }
}
