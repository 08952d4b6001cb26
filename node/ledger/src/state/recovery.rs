//! The epochs of a ledger, whether it is on hold, and its last verified backup.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::ids::{RecordNumber, Time};

/// An epoch after the first one. The first is the genesis's, whose cluster has the ledger's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number: 2 or more.
    pub number: u32,
    /// The cluster that began it.
    pub cluster: Uuid,
    /// The record that began it; ids of this one and of those after it are the epoch's.
    pub first: RecordNumber,
}

/// Whether the ledger takes commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// It does, and always did.
    #[default]
    Never,
    /// It does not, since this record began an epoch.
    Since {
        /// The record.
        began: RecordNumber,
    },
    /// It does again, since an admin opened it.
    Ended {
        /// The record of that.
        by: RecordNumber,
    },
}

/// A backup that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedBackup {
    /// When that was noted.
    pub at: Time,
    /// How many records it has.
    pub records: u64,
}

/// See the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// The epochs after the first, oldest first: one for each restore.
    pub(crate) epochs: Vec<Epoch>,
    /// Whether the ledger takes commands.
    pub(crate) hold: Hold,
    /// The backup that was verified last.
    pub(crate) last_backup: Option<VerifiedBackup>,
}
