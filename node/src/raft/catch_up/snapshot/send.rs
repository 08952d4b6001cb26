//! The sending side: offers a checkpoint, and sends the pages that the follower lacks.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ledger::{Digest, PAGE_RECORDS, RecordNumber, page_of};
use openraft::errors::StreamingError;
use openraft::raft::SnapshotResponse;
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use tokio::time::{Instant, timeout};

use super::transfer::{FromReceiver, FromSender, MESSAGE_TIMEOUT, PAGES_AT_ONCE, TransferError};
use crate::metrics::instruments::node::SentHistory;
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

/// What sending needs of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotSender {
    history: Arc<History>,
    sent: SentHistory,
}

impl SnapshotSender {
    /// Over this node's history; `sent` counts.
    pub(crate) fn new(history: Arc<History>, sent: SentHistory) -> Self {
        Self { history, sent }
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
    let sent = send(peer, sender, vote, snapshot.snapshot.checkpoint, dial_until).await;
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
    own.sent.begun();
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
    let page = first_page(records, staged);
    tracing::info!(peer = peer.node, from = page * PAGE_RECORDS + 1, to = to.records, "sending history");
    if records < to.records {
        let mut first = page;
        while first <= page_of(to.records) {
            let pages = first..page_of(to.records).saturating_add(1).min(first + PAGES_AT_ONCE as u64);
            first = pages.end;
            let (history, last) = (own.history.clone(), to.records);
            let read = move || pages.map(|page| page_message(&history, page, last)).collect::<Result<Vec<_>, _>>();
            for message in blocking(read).await? {
                give(&mut link, &message).await?;
                own.sent.pages(1);
            }
        }
    }
    give(&mut link, &FromSender::End).await?;
    match take(&mut link).await? {
        ReceiverAnswer::Done(vote) => Ok(vote),
        ReceiverAnswer::Have { .. } => Err(TransferError::Refused("the peer began again".into())),
    }
}

/// A page as it is sent. Blocks.
fn page_message(history: &History, page: u64, last: RecordNumber) -> Result<FromSender, StorageError> {
    let bytes = history.page(page, last)?;
    let checksum = *blake3::hash(&bytes).as_bytes();
    Ok(FromSender::Page { page, bytes: bytes.into(), checksum })
}

/// The first page that a receiver lacks, which has `records` durable records and pages of an earlier transfer up to `staged`. Of
/// those the last one is sent again: the receiver compares it, and its header has the chain over all before it.
pub(super) fn first_page(records: u64, staged: RecordNumber) -> u64 {
    page_of(if staged > records { staged } else { records + 1 })
}

async fn blocking<T, F>(work: F) -> Result<T, StorageError>
where
    F: FnOnce() -> Result<T, StorageError> + Send + 'static,
    T: Send + 'static,
{
    runtime::blocking(work).await?
}

/// Sends one message, however long the receiver takes to read it: it may be writing what it was given before, and says so.
async fn give(link: &mut Connection, what: &FromSender) -> Result<(), TransferError> {
    let Connection { sender, receiver, .. } = link;
    let mut sending = pin!(sender.send(what));
    loop {
        let said = tokio::select! {
            biased;
            sent = &mut sending => return Ok(sent?),
            said = timeout(MESSAGE_TIMEOUT, receiver.receive()) => said.map_err(|_elapsed| LinkError::TimedOut)??,
        };
        match said {
            FromReceiver::AtWork => {}
            FromReceiver::Refused { reason } => return Err(TransferError::Refused(reason)),
            FromReceiver::Have { .. } | FromReceiver::Done { .. } => {
                return Err(TransferError::Refused("the peer answered before the end".into()));
            }
        }
    }
}

/// What a receiver answered after some work.
#[derive(Debug)]
pub(super) enum ReceiverAnswer {
    Have { records: u64, digest: Digest, staged: RecordNumber },
    Done(VoteOf<TypeConfig>),
}

/// Waits for a receiver for as long as it sends keep-alives: how long a replay takes grows with what was sent.
pub(super) async fn take(link: &mut Connection) -> Result<ReceiverAnswer, TransferError> {
    loop {
        let said = timeout(ALIVE_WITHIN, link.receiver.receive()).await.map_err(|_elapsed| LinkError::TimedOut)??;
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
