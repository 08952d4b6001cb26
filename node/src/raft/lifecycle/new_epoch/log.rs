//! The log of a node that does not run: read to its end, and continued.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Action, Command, NodeNumber, SYSTEM_ACTOR, Time};
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::{EntryPayload, Membership};
use uuid::Uuid;

use super::{NewCluster, NewEpochError};
use crate::raft::apply::machine::CommandBatch;
use crate::storage::format::{Kind, codec};
use crate::storage::types::plain::{PlainLogId, PlainVote};
use crate::storage::types::{LogEntry, LogId, Payload, Vote};
use crate::storage::{
    LOG_BYTES_MIN, LogReader, LogSettings, LogStore, LogWriter, NodeAddresses, NodeDisks, StorageError,
};

/// What the entries after the history have that matters here.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The last list of members, where there is one.
    pub(super) members: Option<Membership<u64, NodeAddresses>>,
    /// The last epoch that is begun.
    pub(super) epoch: Option<u32>,
    /// The clusters that begin one.
    pub(super) clusters: Vec<Uuid>,
    /// The newest rules that the ledger is raised to.
    pub(super) rules: Option<u32>,
}

/// Opens the log of a data directory.
pub(super) fn open(disks: &NodeDisks) -> Result<(LogStore, LogWriter), StorageError> {
    LogStore::open(disks.log.clone(), LogSettings::for_log_bytes(LOG_BYTES_MIN))
}

/// Reads the entries from index `from` on.
pub(super) async fn read(log: &LogStore, mut from: u64) -> Result<Rest, StorageError> {
    let (mut rest, mut reader) = (Rest::default(), log.reader());
    let end = log.last().map_or(0, |last| last.index + 1);
    while from < end {
        for entry in piece(&mut reader, from, end).await? {
            from = entry.log_id.index + 1;
            rest.take(entry)?;
        }
    }
    Ok(rest)
}

/// Some entries from `from` on, at least one.
async fn piece(reader: &mut LogReader, from: u64, end: u64) -> Result<Vec<LogEntry>, StorageError> {
    let piece = reader.limited_get_log_entries(from, end).await;
    let piece = piece.map_err(|error| StorageError::io("read", "the log", &error))?;
    if piece.is_empty() {
        return Err(StorageError::damaged(format!("log entry {from}"), "it is missing"));
    }
    Ok(piece)
}

impl Rest {
    fn take(&mut self, entry: LogEntry) -> Result<(), StorageError> {
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(members) => self.members = Some(members),
            EntryPayload::Normal(Payload(bytes)) => {
                let batch: CommandBatch = codec::decode(Kind::Commands, &bytes)?;
                for command in batch.commands {
                    match command.action {
                        Action::Genesis(genesis) => self.begin(genesis.epoch, genesis.ledger, genesis.rules),
                        Action::BeginEpoch(begin) => self.begin(begin.epoch, begin.cluster, begin.rules),
                        Action::RaiseRules(raise) => self.rules = Some(raise.to).max(self.rules),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

impl Rest {
    fn begin(&mut self, epoch: u32, cluster: Uuid, rules: u32) {
        (self.epoch, self.rules) = (Some(epoch).max(self.epoch), Some(rules).max(self.rules));
        self.clusters.push(cluster);
    }
}

/// Whether the entries from index `from` on begin this epoch. Blocks.
pub(in crate::raft::lifecycle) fn begins_epoch(log: &LogStore, from: u64, epoch: u32) -> Result<bool, StorageError> {
    Ok(futures::executor::block_on(read(log, from))?.epoch == Some(epoch))
}

/// The list of members with this node alone.
pub(super) fn alone(
    node: NodeNumber,
    addresses: NodeAddresses,
) -> Result<Membership<u64, NodeAddresses>, NewEpochError> {
    let members = Membership::new(vec![BTreeSet::from([node])], BTreeMap::from([(node, addresses)]));
    members.map_err(|error| NewEpochError::NotBegun(error.to_string()))
}

/// The entry at `id` that begins the epoch, at `now`.
pub(super) fn beginning(id: LogId, epoch: u32, to: &NewCluster, now: Time) -> Result<LogEntry, StorageError> {
    let action = Action::BeginEpoch(to.begin(epoch));
    let batch = CommandBatch {
        stamp: now,
        commands: vec![Command { actor: SYSTEM_ACTOR, idempotency_key: None, origin: None, action }],
    };
    let bytes = codec::encode(Kind::Commands, &batch)?;
    Ok(LogEntry { log_id: id, payload: EntryPayload::Normal(Payload(bytes.into())) })
}

/// The log id of `index` in the term of this node.
pub(super) fn id(term: u64, node: NodeNumber, index: u64) -> LogId {
    PlainLogId { term, leader: node, index }.into()
}

/// Makes the log go on with `entries`, in the name of this node as the leader of `term`; all before `purged` is gone. Durable when
/// it returns. Blocks.
pub(super) fn go_on(
    (mut log, writer): (LogStore, LogWriter),
    (term, node): (u64, NodeNumber),
    purged: Option<LogId>,
    entries: Vec<LogEntry>,
) -> Result<(), StorageError> {
    let writing = writer.spawn_thread()?;
    let written = futures::executor::block_on(async {
        let vote: Vote = PlainVote { term, node, committed: true }.into();
        let failed = |what: &'static str| move |error| StorageError::io("write", what, &error);
        log.save_vote(&vote).await.map_err(failed("the vote"))?;
        if let Some(purged) = purged {
            log.purge(purged).await.map_err(failed("the purge of the log"))?;
        }
        let appended = log.blocking_append(entries).await;
        appended.map_err(|error| StorageError::Stopped { reason: error.to_string() })?;
        log.close().await
    });
    drop(log);
    match writing.join() {
        Ok(ended) => written.and(ended),
        Err(_panicked) => Err(StorageError::Stopped { reason: "its writer panicked".to_owned() }),
    }
}
