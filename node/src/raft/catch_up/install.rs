//! A snapshot as openraft names it: a checkpoint of this node, whose pages are sent and received separately (see
//! `snapshot`). Its pages are applied to a copy of the state while they are received, and installing it changes nothing where
//! the digest is not the right one.

use openraft::storage::{RaftSnapshotBuilder, Snapshot, SnapshotMeta};
use openraft::type_config::alias::SnapshotOf;
use std::io;

use super::checkpoint::Checkpointer;
use super::replay::Replay;
use crate::raft::apply::replica::Published;
use crate::storage::types::TypeConfig;
use crate::storage::{Checkpoint, History, StorageError};

/// What a snapshot carries within a process. The pages are sent separately (see snapshot).
pub(crate) struct SnapshotData {
    /// Which checkpoint it is.
    pub checkpoint: Checkpoint,
    /// What its pages gave, where it was received; `None` for one of this node's own.
    pub received: Option<Replay>,
}

/// A checkpoint as openraft names it, with what its pages gave where it was received.
pub(crate) fn snapshot_of(checkpoint: Checkpoint, received: Option<Replay>) -> SnapshotOf<TypeConfig, SnapshotData> {
    let meta = SnapshotMeta { last_log_id: checkpoint.applied, last_membership: checkpoint.membership.clone() };
    Snapshot { meta, snapshot: SnapshotData { checkpoint, received } }
}

/// Installs the pages that were received and the state that they gave, both only where the digest is right.
pub(crate) async fn install(
    published: &Published,
    history: &History,
    to: Checkpoint,
    received: Replay,
) -> Result<(), StorageError> {
    let state = received.finish(&to)?;
    history.install(to.clone()).await?;
    let before = published.replace(state, to.membership, to.applied);
    // Memory of millions of records: freed with no lock held.
    drop(before);
    Ok(())
}

/// Builds a snapshot: writes a checkpoint and names it.
#[derive(Debug)]
pub(crate) struct Builder(pub Checkpointer);

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotData>, io::Error> {
        Ok(snapshot_of(self.0.write().await?, None))
    }
}
