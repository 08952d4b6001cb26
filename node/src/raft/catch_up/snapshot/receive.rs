//! The receiving side: takes one transfer at a time, and installs it whole.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ledger::{NodeNumber, RecordNumber};
use openraft::storage::{Snapshot, SnapshotMeta};
use openraft::type_config::alias::VoteOf;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};

use super::transfer::{FromReceiver, FromSender, MESSAGE_TIMEOUT, TransferError};
use crate::raft::apply::machine::EtebarRaft;
use crate::raft::apply::replica::Published;
use crate::raft::catch_up::checkpoint::Checkpointer;
use crate::raft::catch_up::install::SnapshotData;
use crate::raft::peers::link::error::LinkError;
use crate::raft::peers::link::hello::Connection;
use crate::runtime;
use crate::storage::types::plain::NoMembers;
use crate::storage::types::{TypeConfig, Vote};
use crate::storage::{Checkpoint, History, StorageError};

/// Pause between two keep-alives of a receiver at work.
pub(super) const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Sends keep-alives until `work` is done. The work continues where the sender is gone: half of it is of no use.
pub(super) async fn at_work<T>(link: &mut Connection, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut signs = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    let mut is_connected = true;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = signs.tick(), if is_connected => {
                is_connected = matches!(timeout(KEEP_ALIVE, link.sender.send(&FromReceiver::AtWork)).await, Ok(Ok(())));
            }
        }
    }
}

/// Receives snapshots, one at a time. A later transfer takes the place of one that waits for its sender, who may be
/// partitioned: a majority may need this node, and the new leader the place.
#[derive(Debug)]
pub(crate) struct SnapshotReceiver {
    /// The vote of the newest leader who offered one, and how many offers took another's place.
    newest: watch::Sender<(u64, Option<VoteOf<TypeConfig>>)>,
    published: Arc<Published>,
    history: Arc<History>,
    checkpoints: Checkpointer,
    staged: Mutex<Staged>,
}

/// Full pages that were received and lie beyond the checkpoint. They count for as long as that is the last one: the
/// next would write its own last page, with fewer records, over one of them.
#[derive(Debug, Default)]
struct Staged {
    checkpoint: u64,
    upto: RecordNumber,
}

impl SnapshotReceiver {
    /// Over this node's replica and history.
    pub(crate) fn new(published: Arc<Published>, history: Arc<History>, checkpoints: Checkpointer) -> Self {
        let newest = watch::Sender::new((0, None));
        Self { newest, published, history, checkpoints, staged: Mutex::default() }
    }

    /// Serves one transfer.
    pub(crate) async fn receive(
        &self,
        raft: &EtebarRaft,
        mut link: Connection,
        from: NodeNumber,
    ) -> Result<(), LinkError> {
        let answer = match self.receive_all(raft, &mut link, from).await {
            Ok(vote) => FromReceiver::Done { vote: vote.into() },
            Err(TransferError::Link(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "snapshot not installed");
                FromReceiver::Refused { reason: error.to_string() }
            }
        };
        timeout(MESSAGE_TIMEOUT, link.sender.send(&answer)).await.map_err(|_elapsed| LinkError::TimedOut)?
    }

    async fn receive_all(
        &self,
        raft: &EtebarRaft,
        link: &mut Connection,
        from: NodeNumber,
    ) -> Result<VoteOf<TypeConfig>, TransferError> {
        let FromSender::Offer { vote, to } = receive(link).await? else {
            return Err(TransferError::Refused("a transfer begins with an offer".into()));
        };
        if vote.node != from {
            return Err(TransferError::Refused("an offer in another leader's name".into()));
        }
        let (vote, to) =
            (Vote::from(vote), to.try_into().map_err(|error: NoMembers| TransferError::Refused(error.to_string()))?);
        self.check_rules(&to)?;
        let place = self.take_place(vote);
        // Own checkpoints would write pages with fewer records over those that lie beyond the last one.
        let _turn = at_work(link, self.checkpoints.hold()).await;
        let own = self.history.checkpoint();
        let staged = self.staged_beyond(own.records).upto;
        let have = FromReceiver::Have { records: own.records, digest: own.digest, staged };
        timeout(MESSAGE_TIMEOUT, link.sender.send(&have)).await.map_err(|_elapsed| LinkError::TimedOut)??;
        self.receive_pages(link, &to, place).await?;
        let meta = SnapshotMeta { last_log_id: to.applied, last_membership: to.membership.clone() };
        let snapshot = Snapshot { meta, snapshot: SnapshotData(to) };
        let installed = at_work(link, raft.install_full_snapshot(vote, snapshot)).await;
        let answer = installed.map_err(|fatal| TransferError::Refused(fatal.to_string()))?;
        Ok(answer.vote)
    }

    /// Stops a node that does not know the rules of what is offered: it could read no record of it.
    fn check_rules(&self, to: &Checkpoint) -> Result<(), TransferError> {
        self.published.known_rules.check(to.rules).map_err(|unknown| {
            self.published.health.fail(unknown.to_string());
            TransferError::Refused(unknown.to_string())
        })
    }

    /// What was received since the checkpoint with so many records.
    fn staged_beyond(&self, checkpoint: u64) -> MutexGuard<'_, Staged> {
        let mut staged = self.staged.lock();
        if staged.checkpoint != checkpoint {
            *staged = Staged { checkpoint, upto: 0 };
        }
        staged
    }

    /// Ends the transfer under way, unless it is from a newer leader than this one; returns the place of this one.
    fn take_place(&self, vote: VoteOf<TypeConfig>) -> u64 {
        self.newest.send_if_modified(|(place, newest)| {
            let is_older = newest.is_some_and(|newest| vote < newest);
            if !is_older {
                *place += 1;
                *newest = Some(vote);
            }
            !is_older
        });
        self.newest.borrow().0
    }

    /// Returns once a later transfer took the place.
    async fn has_lost(&self, place: u64) {
        let mut newest = self.newest.subscribe();
        // The sender lives as long as this.
        drop(newest.wait_for(|(now, _)| *now != place).await);
    }

    async fn receive_pages(&self, link: &mut Connection, to: &Checkpoint, place: u64) -> Result<(), TransferError> {
        loop {
            let given = tokio::select! {
                biased;
                given = receive(link) => given?,
                () = self.has_lost(place) => {
                    return Err(TransferError::Refused("a later transfer took the place of this one".into()));
                }
            };
            match given {
                FromSender::Page { page, bytes, checksum } => {
                    if checksum != *blake3::hash(&bytes).as_bytes() {
                        return Err(LinkError::Malformed(format!("page {page} was damaged on its way")).into());
                    }
                    let (history, last) = (self.history.clone(), to.records);
                    // The sender may have given the last one long before a slow disk has them all.
                    let write = runtime::on_disk(async move { history.install_page(page, &bytes, last).await });
                    at_work(link, write).await.map_err(StorageError::from)??;
                    let end = (page + 1) * ledger::PAGE_RECORDS;
                    if end <= to.records {
                        self.staged_beyond(self.history.checkpoint().records).upto = end;
                    }
                }
                FromSender::End => return Ok(()),
                FromSender::Diverged { records } => {
                    let reason = format!(
                        "the first {records} records here are not those of the leader: this node's data is kept \
                         and has to be examined; this node stays stopped, and the others continue while they are a majority"
                    );
                    self.published.health.fail(reason.clone());
                    return Err(TransferError::Refused(reason));
                }
                FromSender::Offer { .. } => return Err(TransferError::Refused("a second offer".into())),
            }
        }
    }
}

async fn receive(link: &mut Connection) -> Result<FromSender, LinkError> {
    timeout(MESSAGE_TIMEOUT, link.receiver.receive()).await.map_err(|_elapsed| LinkError::TimedOut)?
}
