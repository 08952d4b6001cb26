//! The sending side: offers a checkpoint, and sends the pages that the follower lacks.

use std::sync::Arc;
use std::time::Duration;

use ledger::{Digest, RecordNumber, page_of};
use openraft::errors::StreamingError;
use openraft::raft::SnapshotResponse;
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use tokio::time::{Instant, timeout, timeout_at};

use super::transfer::{FromReceiver, FromSender, MESSAGE_TIMEOUT, TransferError};
use crate::raft::catch_up::install::SnapshotData;
use crate::raft::peers::link::call::Peer;
use crate::raft::peers::link::error::LinkError;
use crate::raft::peers::link::hello::Connection;
use crate::raft::peers::link::message::Purpose;
use crate::runtime;
use crate::storage::types::TypeConfig;
use crate::storage::{Checkpoint, History, StorageError};

/// Longest time without a keep-alive of a receiver at work. Source: nothing else is sent to it meanwhile, and a majority may
/// need it; a sync of a slow disk delays no keep-alive.
pub(super) const ALIVE_WITHIN: Duration = Duration::from_secs(3);
/// Longest wait for the follower to replay and install what it received.
pub(super) const INSTALL: Duration = Duration::from_mins(2);

/// What sending needs of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotSender {
    history: Arc<History>,
}

impl SnapshotSender {
    /// Over this node's history.
    pub(crate) fn new(history: Arc<History>) -> Self {
        Self { history }
    }
}

/// Sends the checkpoint that `snapshot` names, as far as the peer lacks it. Dropping the future cancels.
pub(crate) async fn send_snapshot(
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
    give(&mut link, &FromSender::Offer { vote: vote.into(), to: (&to).into() }).await?;
    let (records, digest, staged) = match take(&mut link).await? {
        ReceiverAnswer::Have { records, digest, staged } => (records, digest, staged),
        ReceiverAnswer::Done(vote) => return Ok(vote),
    };
    let history = own.history.clone();
    if records <= to.records && blocking(move || history.digest_at(records)).await? != digest {
        tracing::error!(peer = peer.node, records, "a follower's history is not the beginning of ours");
        give(&mut link, &FromSender::Diverged { records }).await?;
        return Err(TransferError::Refused(format!("its {records} records are not the first of ours")));
    }
    let from = records.max(staged) + 1;
    tracing::info!(peer = peer.node, from, to = to.records, "sending history");
    if from <= to.records {
        for page in page_of(from)..=page_of(to.records) {
            let (history, last) = (own.history.clone(), to.records);
            let bytes = blocking(move || history.page(page, last)).await?;
            let checksum = *blake3::hash(&bytes).as_bytes();
            give(&mut link, &FromSender::Page { page, bytes, checksum }).await?;
        }
    }
    give(&mut link, &FromSender::End).await?;
    match take(&mut link).await? {
        ReceiverAnswer::Done(vote) => Ok(vote),
        ReceiverAnswer::Have { .. } => Err(TransferError::Refused("the peer began again".into())),
    }
}

async fn blocking<T, F>(work: F) -> Result<T, StorageError>
where
    F: FnOnce() -> Result<T, StorageError> + Send + 'static,
    T: Send + 'static,
{
    runtime::blocking(work).await?
}

async fn give(link: &mut Connection, what: &FromSender) -> Result<(), LinkError> {
    timeout(MESSAGE_TIMEOUT, link.sender.send(what)).await.map_err(|_elapsed| LinkError::TimedOut)?
}

/// What a receiver answered after some work.
#[derive(Debug)]
pub(super) enum ReceiverAnswer {
    Have { records: u64, digest: Digest, staged: RecordNumber },
    Done(VoteOf<TypeConfig>),
}

/// Waits for a receiver for as long as it sends keep-alives, up to [`INSTALL`].
pub(super) async fn take(link: &mut Connection) -> Result<ReceiverAnswer, TransferError> {
    let until = Instant::now() + INSTALL;
    loop {
        let deadline = until.min(Instant::now() + ALIVE_WITHIN);
        let said = timeout_at(deadline, link.receiver.receive()).await.map_err(|_elapsed| LinkError::TimedOut)??;
        match said {
            FromReceiver::Have { records, digest, staged } => {
                return Ok(ReceiverAnswer::Have { records, digest, staged });
            }
            FromReceiver::Done { vote } => return Ok(ReceiverAnswer::Done(vote.into())),
            FromReceiver::Refused { reason } => return Err(TransferError::Refused(reason)),
            FromReceiver::AtWork => {}
        }
    }
}
