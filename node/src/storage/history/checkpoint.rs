//! The durable end of the history, in memory and as bytes.

use ledger::Digest;
use serde::{Deserialize, Serialize};

use crate::storage::types::plain::{NoMembers, PlainLogId, PlainMembership};
use crate::storage::types::{LogId, StoredMembership};

/// How far the history goes, and which log position that is. Written whole, atomically, and durable before it is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last log entry whose records are in.
    pub applied: Option<LogId>,
    /// The members of the cluster there.
    pub membership: StoredMembership,
    /// How many records there are: the number of the last one.
    pub records: u64,
    /// The chain over all of them; [`Digest::ZERO`] before the first.
    pub digest: Digest,
    /// The version of the rules there; 0 before the genesis. A build that does not know it reads no record.
    pub rules: u32,
}

/// A checkpoint as it is written to the disk and offered to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainCheckpoint {
    /// See [`Checkpoint::rules`].
    pub rules: u32,
    /// See [`Checkpoint::applied`].
    pub applied: Option<PlainLogId>,
    /// See [`Checkpoint::membership`].
    pub membership: PlainMembership,
    /// See [`Checkpoint::records`].
    pub records: u64,
    /// See [`Checkpoint::digest`].
    pub digest: [u8; 32],
}

impl From<&Checkpoint> for PlainCheckpoint {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            rules: checkpoint.rules,
            applied: checkpoint.applied.map(PlainLogId::from),
            membership: (&checkpoint.membership).into(),
            records: checkpoint.records,
            digest: checkpoint.digest.0,
        }
    }
}

impl TryFrom<PlainCheckpoint> for Checkpoint {
    type Error = NoMembers;

    fn try_from(plain: PlainCheckpoint) -> Result<Self, NoMembers> {
        Ok(Self {
            applied: plain.applied.map(LogId::from),
            membership: plain.membership.try_into()?,
            records: plain.records,
            digest: Digest(plain.digest),
            rules: plain.rules,
        })
    }
}
