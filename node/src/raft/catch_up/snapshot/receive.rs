//! The receiving side: takes one transfer at a time, and installs it whole.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ledger::{NodeNumber, PAGE_RECORDS, RecordNumber};
use openraft::storage::{Snapshot, SnapshotMeta};
use openraft::type_config::alias::VoteOf;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};

use super::transfer::{FromReceiver, FromSender, MESSAGE_TIMEOUT, PAGES_AT_ONCE, TransferError};
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
    received: Mutex<Received>,
}

/// What a node received in transfers since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// How many transfers gave a page.
    pub transfers: u64,
    /// The last record on offer in the last of them.
    pub offered: RecordNumber,
    /// The page that it began with.
    pub first_page: u64,
    /// How many pages all of them gave.
    pub pages: u64,
}

impl SnapshotReceiver {
    /// Over this node's replica and history.
    pub(crate) fn new(published: Arc<Published>, history: Arc<History>, checkpoints: Checkpointer) -> Self {
        let newest = watch::Sender::new((0, None));
        Self { newest, published, history, checkpoints, received: Mutex::default() }
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
        // Of what an earlier transfer brought, what is on offer now.
        let staged = self.history.staged().min(to.records - to.records % PAGE_RECORDS);
        tracing::info!(from, records = own.records, staged, offered = to.records, "receiving history");
        let have = FromReceiver::Have { records: own.records, digest: own.digest, staged };
        timeout(MESSAGE_TIMEOUT, link.sender.send(&have)).await.map_err(|_elapsed| LinkError::TimedOut)??;
        self.receive_pages(link, &to, place).await?;
        tracing::info!(from, records = to.records, "history received: it is replayed");
        let meta = SnapshotMeta { last_log_id: to.applied, last_membership: to.membership.clone() };
        let snapshot = Snapshot { meta, snapshot: SnapshotData(to) };
        let installed = at_work(link, raft.install_full_snapshot(vote, snapshot)).await;
        let answer = installed.map_err(|fatal| TransferError::Refused(fatal.to_string()))?;
        tracing::info!(from, "history installed");
        Ok(answer.vote)
    }

    /// Stops a node that does not know the rules of what is offered: it could read no record of it.
    fn check_rules(&self, to: &Checkpoint) -> Result<(), TransferError> {
        self.published.known_rules.check(to.rules).map_err(|unknown| {
            self.published.health.fail(unknown.to_string());
            TransferError::Refused(unknown.to_string())
        })
    }

    /// What was received since the start.
    pub(crate) fn received(&self) -> Received {
        *self.received.lock()
    }

    /// Counts a page of a transfer that offers so many records; `is_first` where it is the first of it.
    fn count(&self, page: u64, offered: RecordNumber, is_first: bool) {
        let mut received = self.received.lock();
        received.pages += 1;
        if is_first {
            received.transfers += 1;
            (received.offered, received.first_page) = (offered, page);
        }
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
        let mut is_first = true;
        loop {
            let mut pages = Vec::new();
            let ended = self.collect_pages(link, place, &mut pages).await;
            for (page, _) in &pages {
                self.count(*page, to.records, std::mem::take(&mut is_first));
            }
            // What came is kept also where the sender is gone.
            self.write_pages(link, pages, to.records).await?;
            if ended? {
                return Ok(());
            }
        }
    }

    /// Takes pages until there are some, or the transfer has ended, which is said then.
    async fn collect_pages(
        &self,
        link: &mut Connection,
        place: u64,
        pages: &mut Vec<(u64, Vec<u8>)>,
    ) -> Result<bool, TransferError> {
        while pages.len() < PAGES_AT_ONCE {
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
                    pages.push((page, bytes));
                }
                FromSender::End => return Ok(true),
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
        Ok(false)
    }

    /// Writes pages that were received. The sender may have given the last one long before a slow disk has them all.
    async fn write_pages(
        &self,
        link: &mut Connection,
        pages: Vec<(u64, Vec<u8>)>,
        last: RecordNumber,
    ) -> Result<(), TransferError> {
        let history = self.history.clone();
        let write = runtime::on_disk(async move {
            for (page, bytes) in pages {
                history.install_page(page, &bytes, last).await?;
            }
            Ok::<_, StorageError>(())
        });
        at_work(link, write).await.map_err(StorageError::from)??;
        Ok(())
    }
}

async fn receive(link: &mut Connection) -> Result<FromSender, LinkError> {
    timeout(MESSAGE_TIMEOUT, link.receiver.receive()).await.map_err(|_elapsed| LinkError::TimedOut)?
}
