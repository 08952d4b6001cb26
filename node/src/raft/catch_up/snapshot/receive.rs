//! The receiving side: takes one transfer at a time, and installs it whole.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join3;
use ledger::{NodeNumber, PAGE_RECORDS, RecordNumber};
use openraft::type_config::alias::VoteOf;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval_at, timeout};

use super::transfer::{FromReceiver, FromSender, MESSAGE_TIMEOUT, PAGES_AT_ONCE, TransferError};
use crate::raft::apply::machine::EtebarRaft;
use crate::raft::apply::replica::Published;
use crate::raft::catch_up::checkpoint::Checkpointer;
use crate::raft::catch_up::install::snapshot_of;
use crate::raft::catch_up::replay::Replay;
use crate::raft::peers::link::error::LinkError;
use crate::raft::peers::link::frame::{Receiver, Sender};
use crate::raft::peers::link::hello::Connection;
use crate::runtime;
use crate::storage::types::plain::NoMembers;
use crate::storage::types::{TypeConfig, Vote};
use crate::storage::{Checkpoint, History, Page, StorageError};

/// Pause between two keep-alives of a receiver at work.
pub(super) const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Sends keep-alives until `work` is done. The work continues where the sender is gone: half of it is of no use.
pub(super) async fn at_work<T>(link: &mut Sender, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut signs = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    let mut is_connected = true;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = signs.tick(), if is_connected => {
                is_connected = matches!(timeout(KEEP_ALIVE, link.send(&FromReceiver::AtWork)).await, Ok(Ok(())));
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
        let FromSender::Offer { vote, to } = receive(&mut link.receiver).await? else {
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
        let _turn = at_work(&mut link.sender, self.checkpoints.hold()).await;
        let own = self.history.checkpoint();
        let (replay, staged) = at_work(&mut link.sender, self.replay_staged(to.records)).await?;
        tracing::info!(from, records = own.records, staged, offered = to.records, "receiving history");
        let have = FromReceiver::Have { records: own.records, digest: own.digest, staged };
        timeout(MESSAGE_TIMEOUT, link.sender.send(&have)).await.map_err(|_elapsed| LinkError::TimedOut)??;
        let Connection { sender, receiver } = link;
        let replay = at_work(sender, self.receive_pages(receiver, &to, place, replay)).await?;
        tracing::info!(from, records = to.records, "history received");
        let installed = at_work(sender, raft.install_full_snapshot(vote, snapshot_of(to, Some(replay)))).await;
        let answer = installed.map_err(|fatal| TransferError::Refused(fatal.to_string()))?;
        tracing::info!(from, "history installed");
        Ok(answer.vote)
    }

    /// A copy of the state with what an earlier transfer brought of the `offered` records, and the last record of that; 0 for
    /// none. What is no good of it does not count any more.
    async fn replay_staged(&self, offered: RecordNumber) -> Result<(Replay, RecordNumber), StorageError> {
        let onto = || Replay::onto(self.published.replica().state.clone());
        let staged = self.history.staged().min(offered - offered % PAGE_RECORDS);
        let (history, mut replay) = (self.history.clone(), onto());
        // A record that does not fit the state panics.
        let work = move || catch_unwind(AssertUnwindSafe(|| replay.read(&history, staged).map(|()| replay)));
        match runtime::blocking(work).await? {
            Ok(Ok(replay)) => return Ok((replay, staged)),
            Ok(Err(error)) if !matches!(error, StorageError::Damaged { .. }) => return Err(error),
            Ok(Err(error)) => tracing::error!(%error, "pages that were received before are not used"),
            Err(_panic) => tracing::error!("pages that were received before do not fit the state, and are not used"),
        }
        let history = self.history.clone();
        runtime::on_disk(async move { history.forget_staged().await }).await??;
        Ok((onto(), 0))
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

    /// Receives pages until the transfer has ended. Some are received while those before them are written, and those before
    /// these applied to `replay`.
    async fn receive_pages(
        &self,
        link: &mut Receiver,
        to: &Checkpoint,
        place: u64,
        mut replay: Replay,
    ) -> Result<Replay, TransferError> {
        // One group waits at each, so that none of the three has to wait for another but where that is slower.
        let (received, mut to_write) = mpsc::channel(1);
        let (written, mut to_apply) = mpsc::channel(1);
        let receiving = async move {
            let mut is_first = true;
            loop {
                let mut pages = Vec::new();
                let ended = self.collect_pages(link, place, &mut pages).await;
                for (page, _) in &pages {
                    self.count(*page, to.records, std::mem::take(&mut is_first));
                }
                // What came is kept also where the sender is gone. Where nobody takes it, writing or applying has failed.
                let is_taken = received.send(pages).await.is_ok();
                if ended? || !is_taken {
                    return Ok(());
                }
            }
        };
        let writing = async move {
            while let Some(pages) = to_write.recv().await {
                if written.send(self.write_pages(pages, to.records).await?).await.is_err() {
                    break;
                }
            }
            Ok::<_, StorageError>(())
        };
        let applying = async move {
            while let Some(pages) = to_apply.recv().await {
                replay = self.apply_pages(replay, pages).await?;
            }
            Ok::<_, StorageError>(replay)
        };
        let (received, written, applied) = join3(receiving, writing, applying).await;
        let replay = applied?;
        written?;
        received.map(|()| replay)
    }

    /// Takes pages until there are some, or the transfer has ended, which is said then.
    async fn collect_pages(
        &self,
        link: &mut Receiver,
        place: u64,
        pages: &mut Vec<(u64, Bytes)>,
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

    /// Writes pages that were received, and returns them decoded.
    async fn write_pages(&self, pages: Vec<(u64, Bytes)>, last: RecordNumber) -> Result<Vec<Page>, StorageError> {
        let history = self.history.clone();
        let write = async move {
            let mut written = Vec::with_capacity(pages.len());
            for (page, bytes) in pages {
                written.push(history.install_page(page, &bytes, last).await?);
            }
            Ok(written)
        };
        runtime::on_disk(write).await?
    }

    /// Applies pages that were written. A node to whose books they do not add up stops.
    async fn apply_pages(&self, mut replay: Replay, pages: Vec<Page>) -> Result<Replay, StorageError> {
        // A record that does not fit the state panics, which leaves the work unfinished.
        let applied =
            runtime::blocking(move || pages.iter().try_for_each(|page| replay.apply_page(page)).map(|()| replay)).await;
        let applied = applied.map_err(StorageError::from).and_then(|applied| applied);
        applied.inspect_err(|error| {
            self.published.health.fail(format!("the pages of a snapshot do not continue the history: {error}"));
        })
    }
}

async fn receive(link: &mut Receiver) -> Result<FromSender, LinkError> {
    timeout(MESSAGE_TIMEOUT, link.receive()).await.map_err(|_elapsed| LinkError::TimedOut)?
}
