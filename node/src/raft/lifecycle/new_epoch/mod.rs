//! A ledger that goes on as a new cluster of one node, which grows by `etebar members add`: out of a backup ([`mod@restore`]), or
//! out of a survivor whose others are lost ([`mod@recover`]). Both work on a data directory that no process serves.
//!
//! Either leaves a log whose last entry begins the next epoch ([`ledger::BeginEpoch`]), before any command of a caller: so the
//! new cluster is on hold from its first moment on. Nothing of the old cluster reaches it, whose id is another.

mod log;
pub mod recover;
pub mod restore;

use ledger::{ApiKeyHash, BeginEpoch, IdSpace, NodeNumber, RULES_VERSION, TableSeed};
use uuid::Uuid;

pub(super) use self::log::begins_epoch;
use crate::raft::apply::rules::UnknownRules;
use crate::raft::catch_up::replay::start_from;
use crate::storage::History;
use crate::storage::{NodeAddresses, StorageError};

/// The cluster that a ledger goes on as.
#[derive(Debug, Clone)]
pub struct NewCluster {
    /// Its id: none that the ledger had before.
    pub cluster: Uuid,
    /// The number of its only node.
    pub node: NodeNumber,
    /// Where that node serves.
    pub addresses: NodeAddresses,
    /// The hash of a new admin key; those that there are stay.
    pub admin_key: Option<ApiKeyHash>,
}

impl NewCluster {
    fn begin(&self, epoch: u32) -> BeginEpoch {
        BeginEpoch { epoch, cluster: self.cluster, rules: RULES_VERSION, admin_key: self.admin_key }
    }
}

/// The epoch of a history whose node does not run, and the ids of its ledger: in the first one (1) from the ledger's id alone, later
/// by a replay. Blocks.
///
/// # Errors
/// Where a page is damaged.
pub fn ids_of(history: &History, first: (Uuid, u32), seed: TableSeed) -> Result<(u32, IdSpace), StorageError> {
    let (ledger, epoch) = first;
    if epoch <= 1 {
        return Ok((epoch, IdSpace::new(ledger, epoch)));
    }
    let (state, _image) = start_from(history, seed)?;
    Ok((state.epoch(), state.ids().clone()))
}

/// Why a ledger does not go on as a new cluster.
#[derive(Debug, thiserror::Error)]
pub enum NewEpochError {
    /// The disk failed, or what is there is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The backup is refused.
    #[error(transparent)]
    Backup(#[from] pages::backup::ChainError),
    /// The ledger goes by rules that this build does not know.
    #[error(transparent)]
    Rules(#[from] UnknownRules),
    /// A cluster of this ledger had the id before.
    #[error(
        "a cluster of this ledger had the id {0} before, and its nodes would be taken for the new one's: draw another id, as with `uuidgen`"
    )]
    ClusterUsed(Uuid),
    /// The backup does not go so far.
    #[error("the backup ends with entry {entries}: give --until {entries} or less, or leave it out")]
    NoEntry {
        /// Its last entry.
        entries: u64,
    },
    /// The backup has no record.
    #[error("the backup holds no record: make a new cluster with `init` in place of it")]
    Empty,
    /// The records do not fit each other.
    #[error("the records of the backup do not fit each other: {0}")]
    Unfit(String),
    /// The ledger does not take the epoch.
    #[error("the ledger does not begin another epoch: {0}")]
    NotBegun(String),
    /// The node needs no others.
    #[error("node {0} is the only voter of its cluster and needs no others: start it with `run`")]
    NotAlone(NodeNumber),
    /// The node is no member.
    #[error("node {0} is no member of its cluster any more: recover another one")]
    NoMember(NodeNumber),
}
