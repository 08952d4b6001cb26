//! A snapshot as openraft names it: a checkpoint of this node, whose pages are sent and received separately (see
//! `snapshot`). Installing one replays its pages and changes nothing where the digest is not the right one.

use openraft::storage::{RaftSnapshotBuilder, Snapshot, SnapshotMeta};
use openraft::type_config::alias::SnapshotOf;
use std::io;

use super::checkpoint::Checkpointer;
use super::replay::replay_into;
use crate::raft::apply::replica::Published;
use crate::storage::types::TypeConfig;
use crate::storage::{Checkpoint, History, StorageError};

/// What a snapshot carries within a process: which checkpoint it is. The pages are sent separately (see snapshot).
#[derive(Debug, Clone)]
pub(crate) struct SnapshotData(pub Checkpoint);

/// A checkpoint as openraft names it.
pub(crate) fn snapshot_of(checkpoint: Checkpoint) -> SnapshotOf<TypeConfig, SnapshotData> {
    let meta = SnapshotMeta { last_log_id: checkpoint.applied, last_membership: checkpoint.membership.clone() };
    Snapshot { meta, snapshot: SnapshotData(checkpoint) }
}

/// Replays the pages that were received into a copy of the state, and installs both only where the digest is right.
pub(crate) async fn install(published: &Published, history: &History, to: Checkpoint) -> Result<(), StorageError> {
    let mut state = published.replica().state.clone();
    replay_into(&mut state, history, &to)?;
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
        Ok(snapshot_of(self.0.write().await?))
    }
}
