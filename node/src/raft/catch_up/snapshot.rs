//! Catching up a node whose log ends before ours begins: only the pages that it lacks are sent.
//!
//! Invariants: what the follower has durably is never overwritten; a history that is not the beginning of ours stops the
//! follower and is kept; a broken transfer goes on where it ended, because full pages are the same everywhere.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ledger::{Digest, NodeNumber, RecordNumber, State, chain_record, page_of};
use openraft::RaftTypeConfig;
use openraft::errors::{ErrorSource, NetworkError, StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use openraft::storage::{Snapshot, SnapshotMeta};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout, timeout_at};

use super::checkpoint::Checkpointer;
use crate::raft::apply::machine::{EtebarRaft, SnapshotData};
use crate::raft::apply::replica::Published;
use crate::raft::peers::link::call::Peer;
use crate::raft::peers::link::error::LinkError;
use crate::raft::peers::link::hello::Connection;
use crate::raft::peers::link::message::Purpose;
use crate::runtime;
use crate::storage::types::TypeConfig;
use crate::storage::{Checkpoint, History, StorageError};

/// Longest time without a message on a transfer while pages are sent.
const SILENCE: Duration = Duration::from_secs(10);
/// Pause between two keep-alives of a receiver at work.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
/// Longest time without a keep-alive of a receiver at work. Source: nothing else is sent to it meanwhile, and a majority may
/// need it; a sync of a slow disk delays no keep-alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(3);
/// Longest wait for the follower to replay and install what it received.
const INSTALL: Duration = Duration::from_mins(2);

/// What the sender of a snapshot sends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Give {
    /// What is on offer.
    Offer { vote: VoteOf<TypeConfig>, to: Checkpoint },
    /// A page, up to the last record on offer, with the BLAKE3 of its bytes.
    Page { page: u64, bytes: Vec<u8>, checksum: [u8; 32] },
    /// That was all of them.
    End,
    /// The receiver's history is not the beginning of the sender's.
    Diverged { records: u64 },
}

/// What the receiver answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Take {
    /// The receiver has so many durable records, with this chain over them; pages up to `staged` need not be sent again.
    Have { records: u64, digest: Digest, staged: RecordNumber },
    /// It is installed, or the receiver's vote is higher.
    Done { vote: VoteOf<TypeConfig> },
    /// The receiver cannot take it.
    Refused { reason: String },
    /// Keep-alive: an own checkpoint, the writing of a page or the installation goes on.
    AtWork,
}

/// What sending needs of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SnapshotSender {
    published: Arc<Published>,
    history: Arc<History>,
}

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Refused(String),
}

impl From<TransferError> for StreamingError<TypeConfig> {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Storage(error) => {
                let source = <TypeConfig as RaftTypeConfig>::ErrorSource::from_error(&error);
                openraft::StorageError::read_snapshot(None, source).into()
            }
            TransferError::Link(LinkError::Io(_) | LinkError::Refused(_)) | TransferError::Refused(_) => {
                Unreachable::from_string(&error).into()
            }
            TransferError::Link(LinkError::Closed | LinkError::TimedOut | LinkError::Malformed(_)) => {
                NetworkError::from_string(&error).into()
            }
        }
    }
}

impl SnapshotSender {
    /// Over this node's state and history.
    pub fn new(published: Arc<Published>, history: Arc<History>) -> Self {
        Self { published, history }
    }
}

/// Sends the checkpoint that `snapshot` names, as far as the peer lacks it. Dropping the future cancels.
pub async fn send_snapshot(
    peer: &Peer,
    sender: &SnapshotSender,
    vote: VoteOf<TypeConfig>,
    snapshot: SnapshotOf<TypeConfig, SnapshotData>,
    dial_until: Instant,
) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
    let SnapshotData(to) = snapshot.snapshot;
    let sent = send(peer, sender, vote, to, dial_until).await;
    let vote = sent.inspect_err(|error| tracing::warn!(peer = peer.node, %error, "snapshot not sent"))?;
    Ok(SnapshotResponse::new(vote))
}

async fn send(
    peer: &Peer,
    own: &SnapshotSender,
    vote: VoteOf<TypeConfig>,
    to: Checkpoint,
    dial_until: Instant,
) -> Result<VoteOf<TypeConfig>, TransferError> {
    let mut link = peer.dial(Purpose::Snapshot, dial_until).await?;
    give(&mut link, &Give::Offer { vote, to: to.clone() }).await?;
    let (records, digest, staged) = match take(&mut link).await? {
        Taken::Have { records, digest, staged } => (records, digest, staged),
        Taken::Done(vote) => return Ok(vote),
    };
    if records <= to.records && digest_at(own, records).await? != digest {
        tracing::error!(peer = peer.node, records, "a follower's history is not the beginning of ours");
        give(&mut link, &Give::Diverged { records }).await?;
        return Err(TransferError::Refused(format!("its {records} records are not the first of ours")));
    }
    let from = records.max(staged) + 1;
    tracing::info!(peer = peer.node, from, to = to.records, "sending history");
    if from <= to.records {
        for page in page_of(from)..=page_of(to.records) {
            let (history, last) = (own.history.clone(), to.records);
            let bytes = blocking(move || history.page(page, last)).await?;
            let checksum = *blake3::hash(&bytes).as_bytes();
            give(&mut link, &Give::Page { page, bytes, checksum }).await?;
        }
    }
    give(&mut link, &Give::End).await?;
    match take(&mut link).await? {
        Taken::Done(vote) => Ok(vote),
        Taken::Have { .. } => Err(TransferError::Refused("the peer began again".into())),
    }
}

/// The chain over our first `records` records.
async fn digest_at(own: &SnapshotSender, records: RecordNumber) -> Result<Digest, TransferError> {
    let (published, history) = (own.published.clone(), own.history.clone());
    let digest = blocking(move || {
        let before = digest_before_page_of(&published.replica().state, records);
        (page_of(records) * ledger::PAGE_RECORDS + 1..=records)
            .try_fold(before, |digest, number| Ok(chain_record(&digest, &*history.record(number)?)))
    });
    Ok(digest.await?)
}

/// The chain over all records before the page that holds record `records`; the chain's beginning for none.
fn digest_before_page_of(state: &State, records: RecordNumber) -> Digest {
    state.page_mark(page_of(records)).map_or(Digest::ZERO, |mark| mark.record_digest)
}

async fn blocking<T, F>(work: F) -> Result<T, StorageError>
where
    F: FnOnce() -> Result<T, StorageError> + Send + 'static,
    T: Send + 'static,
{
    runtime::blocking(work).await?
}

async fn give(link: &mut Connection, what: &Give) -> Result<(), LinkError> {
    timeout(SILENCE, link.sender.send(what)).await.map_err(|_elapsed| LinkError::TimedOut)?
}

/// What a receiver answered after some work.
enum Taken {
    Have { records: u64, digest: Digest, staged: RecordNumber },
    Done(VoteOf<TypeConfig>),
}

/// Waits for a receiver for as long as it sends keep-alives, up to [`INSTALL`].
async fn take(link: &mut Connection) -> Result<Taken, TransferError> {
    let until = Instant::now() + INSTALL;
    loop {
        let deadline = until.min(Instant::now() + ALIVE_WITHIN);
        let said = timeout_at(deadline, link.receiver.receive()).await.map_err(|_elapsed| LinkError::TimedOut)??;
        match said {
            Take::Have { records, digest, staged } => return Ok(Taken::Have { records, digest, staged }),
            Take::Done { vote } => return Ok(Taken::Done(vote)),
            Take::Refused { reason } => return Err(TransferError::Refused(reason)),
            Take::AtWork => {}
        }
    }
}

/// Sends keep-alives until `work` is done. The work goes on where the sender is gone: half of it is no use.
async fn at_work<T>(link: &mut Connection, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut signs = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    let mut is_connected = true;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = signs.tick(), if is_connected => {
                is_connected = matches!(timeout(KEEP_ALIVE, link.sender.send(&Take::AtWork)).await, Ok(Ok(())));
            }
        }
    }
}

/// Receives snapshots, one at a time. A later transfer takes the place of one that waits for its sender, who may be partitioned:
/// a majority may need this node, and the new leader the place.
#[derive(Debug)]
pub struct SnapshotReceiver {
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
    pub fn new(published: Arc<Published>, history: Arc<History>, checkpoints: Checkpointer) -> Self {
        let newest = watch::Sender::new((0, None));
        Self { newest, published, history, checkpoints, staged: Mutex::default() }
    }

    /// Serves one transfer.
    pub async fn receive(&self, raft: &EtebarRaft, mut link: Connection, from: NodeNumber) -> Result<(), LinkError> {
        let answer = match self.receive_all(raft, &mut link, from).await {
            Ok(vote) => Take::Done { vote },
            Err(TransferError::Link(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "snapshot not taken");
                Take::Refused { reason: error.to_string() }
            }
        };
        timeout(SILENCE, link.sender.send(&answer)).await.map_err(|_elapsed| LinkError::TimedOut)?
    }

    async fn receive_all(
        &self,
        raft: &EtebarRaft,
        link: &mut Connection,
        from: NodeNumber,
    ) -> Result<VoteOf<TypeConfig>, TransferError> {
        let Give::Offer { vote, to } = receive(link).await? else {
            return Err(TransferError::Refused("a transfer begins with an offer".into()));
        };
        if vote.leader_id.node_id != from {
            return Err(TransferError::Refused("an offer in another leader's name".into()));
        }
        let place = self.take_place(vote);
        // Own checkpoints would write pages with fewer records over those that lie beyond the last one.
        let _turn = at_work(link, self.checkpoints.hold()).await;
        let own = self.history.checkpoint();
        let staged = self.staged_beyond(own.records).upto;
        let have = Take::Have { records: own.records, digest: own.digest, staged };
        timeout(SILENCE, link.sender.send(&have)).await.map_err(|_elapsed| LinkError::TimedOut)??;
        self.receive_pages(link, &to, place).await?;
        let meta = SnapshotMeta { last_log_id: to.applied, last_membership: to.membership.clone() };
        let snapshot = Snapshot { meta, snapshot: SnapshotData(to) };
        let installed = at_work(link, raft.install_full_snapshot(vote, snapshot)).await;
        let answer = installed.map_err(|fatal| TransferError::Refused(fatal.to_string()))?;
        Ok(answer.vote)
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
                Give::Page { page, bytes, checksum } => {
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
                Give::End => return Ok(()),
                Give::Diverged { records } => {
                    let reason = format!(
                        "the first {records} records here are not those of the leader: this node's data is kept \
                         and has to be examined; this node stays out, and the others go on while they are a majority"
                    );
                    self.published.health.fail(reason.clone());
                    return Err(TransferError::Refused(reason));
                }
                Give::Offer { .. } => return Err(TransferError::Refused("a second offer".into())),
            }
        }
    }
}

async fn receive(link: &mut Connection) -> Result<Give, LinkError> {
    timeout(SILENCE, link.receiver.receive()).await.map_err(|_elapsed| LinkError::TimedOut)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::peers::link::tests::connected;
    use tokio::time::sleep;

    #[tokio::test]
    async fn a_receiver_at_work_is_waited_for_and_one_that_sends_nothing_is_given_up() {
        let (mut sending, mut receiving) = connected().await;
        let working = async {
            let have = at_work(&mut receiving, async {
                sleep(ALIVE_WITHIN + KEEP_ALIVE * 2).await;
                Take::Have { records: 7, digest: Digest::ZERO, staged: 0 }
            });
            let have = have.await;
            receiving.sender.send(&have).await.unwrap();
        };
        let (taken, ()) = tokio::join!(take(&mut sending), working);
        assert!(matches!(taken, Ok(Taken::Have { records: 7, .. })));

        let begun = Instant::now();
        let taken = take(&mut sending).await;
        assert!(matches!(taken, Err(TransferError::Link(LinkError::TimedOut))));
        assert!(begun.elapsed() < INSTALL / 4, "given up after {:?}", begun.elapsed());
    }
}
