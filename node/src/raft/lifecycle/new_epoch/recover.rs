//! A new cluster out of a survivor, where the majority of its cluster is lost for good: it goes on alone, with everything that its
//! log has. Of that the last entries may never have been acknowledged; what only the others had is lost.

use ledger::{NodeNumber, TableSeed, Time};

use super::log::{Rest, alone, beginning, go_on, id, open, read};
use super::{NewCluster, NewEpochError};
use crate::raft::apply::rules::KnownRules;
use crate::raft::catch_up::replay::start_from;
use crate::raft::peers::link::hello::version::Build;
use crate::storage::types::plain::{PlainLogId, PlainVote};
use crate::storage::types::{LogEntry, LogId};
use crate::storage::{History, LogStore, LogWriter, NodeAddresses, NodeDisks};

/// A survivor that was looked at, and not changed.
#[derive(Debug)]
pub struct Survivor {
    log: (LogStore, LogWriter),
    history: History,
    /// The node.
    pub node: NodeNumber,
    /// Where it serves.
    pub addresses: NodeAddresses,
    /// The epoch that its history and its log are in.
    pub epoch: u32,
    /// The index of its last log entry.
    pub last: u64,
    /// The time of its last record that is applied.
    pub time: Time,
}

impl Survivor {
    /// Looks at the disks of a data directory that no process serves. Blocks.
    ///
    /// # Errors
    /// Where they are damaged, this build does not know the rules, the node needs no others, or `cluster`, which it is to go on
    /// as, is an id that the ledger had.
    pub fn open(
        disks: &NodeDisks,
        node: NodeNumber,
        cluster: uuid::Uuid,
        seed: TableSeed,
    ) -> Result<Self, NewEpochError> {
        let rules = KnownRules(Build::OWN.rules);
        rules.check(History::checkpoint_on(&*disks.history)?.rules)?;
        let log = open(disks)?;
        let history = History::open(disks.history.clone())?;
        log.0.check_joins(&history)?;
        let (state, _image) = start_from(&history, seed)?;
        let checkpoint = history.checkpoint();
        let from = checkpoint.applied.map_or(0, |applied| applied.index + 1);
        let Rest { members, epoch, clusters, rules: raised } = futures::executor::block_on(read(&log.0, from))?;
        rules.check(raised.unwrap_or(0))?;
        if state.had_cluster(cluster) || clusters.contains(&cluster) {
            return Err(NewEpochError::ClusterUsed(cluster));
        }
        let members = members.unwrap_or_else(|| checkpoint.membership.membership().clone());
        let Some(addresses) = members.get_node(&node).cloned() else { return Err(NewEpochError::NoMember(node)) };
        if members.get_joint_config().iter().all(|set| set.len() == 1 && set.contains(&node)) {
            return Err(NewEpochError::NotAlone(node));
        }
        Ok(Self {
            last: log.0.last().or(checkpoint.applied).map_or(0, |last| last.index),
            log,
            history,
            node,
            addresses,
            epoch: epoch.unwrap_or_else(|| state.epoch()),
            time: state.time(),
        })
    }

    /// Makes the log go on as that of the cluster `to`, in the epoch after that of the log. Durable when it returns. Blocks.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn go_on(self, to: &NewCluster, now: Time) -> Result<u32, NewEpochError> {
        let epoch = self.epoch.saturating_add(1);
        let node = self.node;
        let (vote, last) = futures::executor::block_on(held(&self.log.0))?;
        let term = vote.map_or(0, |vote| vote.term).max(last.map_or(0, |last| last.term)) + 1;
        let next = self.last + 1;
        let members = LogEntry {
            log_id: id(term, node, next),
            payload: openraft::EntryPayload::Membership(alone(node, self.addresses)?),
        };
        let entries = vec![members, beginning(id(term, node, next + 1), epoch, to, now)?];
        futures::executor::block_on(self.history.forget_known_peers())?;
        drop(self.history);
        go_on(self.log, (term, node), None, entries)?;
        Ok(epoch)
    }
}

/// The vote and the last entry of a log.
async fn held(log: &LogStore) -> Result<(Option<PlainVote>, Option<PlainLogId>), NewEpochError> {
    use openraft::storage::RaftLogReader;
    let vote = log.reader().read_vote().await;
    let vote = vote.map_err(|error| crate::storage::StorageError::io("read", "the vote", &error))?;
    let last: Option<LogId> = log.last();
    Ok((vote.map(PlainVote::from), last.map(PlainLogId::from)))
}
