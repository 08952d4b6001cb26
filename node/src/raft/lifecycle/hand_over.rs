//! How a node gives its leadership up, and its part in Raft.

use std::time::Duration;

use tokio::sync::oneshot;

use super::node::Node;
use crate::raft::apply::machine::EtebarRaft;
use crate::runtime;

/// Longest wait for a command of the leader's own.
pub(crate) const COMMAND: Duration = Duration::from_secs(2);

/// Asks openraft to make the furthest healthy voter the leader; `false` where there is none.
pub(crate) async fn hand_over(node: &Node) -> bool {
    let voters: Vec<u64> = node.raft.voter_ids().filter(|id| *id != node.me.node).collect();
    let applied = |id: &u64| node.peer_table.status(*id).filter(|status| status.healthy).map(|status| status.applied);
    let Some(next) = voters.iter().filter(|id| applied(id).is_some()).max_by_key(|id| applied(id)) else {
        return false;
    };
    match node.raft.trigger().transfer_leader(*next).await {
        Ok(()) => true,
        Err(fatal) => {
            tracing::debug!(%fatal, "leadership not handed over");
            false
        }
    }
}

/// Ends Raft, in a task of its own: the first of those that wait for openraft's core to end must not give up, or the others
/// panic (`RaftInner::join_core_task` of 0.10.0-alpha.37).
pub(crate) async fn end_raft(raft: &EtebarRaft) {
    let raft = raft.clone();
    let (done, ended) = oneshot::channel();
    runtime::spawn(async move {
        if let Err(error) = raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        // A caller that stopped waiting, or ended with the runtime, needs no answer.
        done.send(()).ok();
    });
    drop(ended.await);
}
