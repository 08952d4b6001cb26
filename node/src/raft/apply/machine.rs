//! The state machine that openraft drives: one entry after the other, off the threads of Raft.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use ledger::State;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{OptionalSend, Raft};

use super::entry;
use super::replica::Published;
use crate::raft::catch_up::checkpoint::Checkpointer;
use crate::runtime;
use crate::storage::types::TypeConfig;
use crate::storage::{Checkpoint, History, StorageError};

/// Raft over our state machine.
pub(crate) type EtebarRaft = Raft<TypeConfig, Machine>;

/// Entries handed to the applying thread at a time, at most.
const ENTRIES: usize = 64;

/// What a snapshot carries within a process: which checkpoint it is. The pages are sent separately (see snapshot).
#[derive(Debug, Clone)]
pub(crate) struct SnapshotData(pub Checkpoint);

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Machine {
    published: Arc<Published>,
    history: Arc<History>,
    checkpoints: Checkpointer,
}

impl Machine {
    /// Over what the pages gave.
    pub(crate) fn new(published: Arc<Published>, history: Arc<History>, checkpoints: Checkpointer) -> Self {
        Self { published, history, checkpoints }
    }

    /// Applies a bounded piece of what is committed.
    async fn apply_some(&self, entries: Vec<EntryResponder<TypeConfig>>) -> Result<(), io::Error> {
        let entries = entry::decode(entries)?;
        let is_light = entry::is_light(&self.published, &entries);
        let (published, history) = (self.published.clone(), self.history.clone());
        let work = move || entry::apply(&published, &history, entries);
        // A panic means books that do not add up. Openraft would continue without its state machine, so it gets an error.
        let applied = if is_light {
            catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| io::Error::other("it does not fit the state"))
        } else {
            runtime::blocking(work).await.map_err(io::Error::other)
        };
        let applied = applied.and_then(|applied| applied);
        applied
            .inspect_err(|error| self.published.health.fail(format!("a committed entry could not be applied: {error}")))
    }
}

/// A checkpoint as openraft names it.
fn snapshot_of(checkpoint: Checkpoint) -> SnapshotOf<TypeConfig, SnapshotData> {
    let meta = SnapshotMeta { last_log_id: checkpoint.applied, last_membership: checkpoint.membership.clone() };
    Snapshot { meta, snapshot: SnapshotData(checkpoint) }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>), io::Error> {
        let replica = self.published.replica();
        Ok((replica.log_id, replica.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut some = Vec::new();
        while let Some(entry) = entries.next().await {
            some.push(entry?);
            if some.len() >= ENTRIES {
                self.apply_some(std::mem::take(&mut some)).await?;
            }
        }
        if some.is_empty() { Ok(()) } else { self.apply_some(some).await }
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(self.checkpoints.clone())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let SnapshotData(to) = snapshot;
        assert_eq!(to.applied, meta.last_log_id, "a snapshot is named by its checkpoint");
        let (published, history) = (self.published.clone(), self.history.clone());
        let installed = runtime::on_disk(async move { install(&published, &history, to).await })
            .await
            .map_err(io::Error::other)
            .and_then(|installed| installed.map_err(io::Error::other));
        installed.inspect_err(|error| self.published.health.fail(format!("a snapshot could not be installed: {error}")))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, SnapshotData>>, io::Error> {
        let last = self.checkpoints.last();
        Ok(last.applied.is_some().then(|| snapshot_of(last)))
    }
}

/// Replays the pages that were received into a copy of the state, and installs both only where the digest is right.
async fn install(published: &Published, history: &History, to: Checkpoint) -> Result<(), StorageError> {
    let mut state = published.replica().state.clone();
    replay_into(&mut state, history, &to)?;
    if to.records > history.records() {
        history.install(to.clone()).await?;
    } else {
        history.write(to.clone()).await?;
    }
    let before = published.replace(state, to.membership, to.applied);
    // Memory of millions of records: freed with no lock held.
    drop(before);
    Ok(())
}

/// The state that `history` holds on disk up to `to`, checked against its digest.
///
/// # Errors
/// Where a page is damaged, or the records are not those that `to` was made of.
pub(crate) fn replay_into(state: &mut State, history: &History, to: &Checkpoint) -> Result<(), StorageError> {
    history.replay(state.records() + 1..=to.records, |record| state.apply(record))?;
    if (state.records(), state.digest()) == (to.records, to.digest) {
        return Ok(());
    }
    Err(StorageError::Damaged {
        place: "the history".to_owned(),
        reason: format!("its {} records do not have the digest of their checkpoint", to.records),
    })
}

/// Builds a snapshot: writes a checkpoint and names it.
#[derive(Debug)]
pub(crate) struct Builder(Checkpointer);

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotData>, io::Error> {
        Ok(snapshot_of(self.0.write().await?))
    }
}
