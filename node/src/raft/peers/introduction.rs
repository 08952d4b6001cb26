//! What this node tells one that joins: the ledger, and who the members are.
//!
//! Invariant: it is read after everything acknowledged before. From an older state a number could be answered that belongs to
//! another data directory by now, or members be named that were removed.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::link::hello::PeerCaller;
use super::link::message::join::{IntroducedMember, Introduction, JoinAnswer};
use crate::raft::apply::replica::Replica;
use crate::raft::lifecycle::node::Node;
use crate::raft::reads::gate::ReadCaller;
use crate::raft::reads::position::read_position;

/// Longest wait for a position and for the state to reach it. Source: half of what a node that joins waits for a seed.
const WITHIN: Duration = Duration::from_secs(5);

/// Introduces the cluster to a node that joins.
pub(crate) async fn introduce(node: &Node, to: PeerCaller) -> JoinAnswer {
    let deadline = Instant::now() + WITHIN;
    let Some(position) = read_position(node, ReadCaller::Known, deadline).await else {
        return JoinAnswer::NotNow("it knows no leader now".to_owned());
    };
    match timeout_at(deadline, node.published.waits.reached(position)).await {
        Ok(Ok(())) => introduction(&node.published.replica(), to),
        Ok(Err(_)) | Err(_) => JoinAnswer::NotNow("it is behind the others".to_owned()),
    }
}

fn introduction(replica: &Replica, to: PeerCaller) -> JoinAnswer {
    let Some(genesis) = replica.state.genesis() else {
        return JoinAnswer::NotNow("the ledger has not begun".to_owned());
    };
    let (list, index) = (replica.membership.membership(), replica.membership.log_id().as_ref().map(|id| id.index));
    if list.get_node(&to.node).is_none() {
        return JoinAnswer::NoMember;
    }
    if replica.state.incarnation(to.node).is_some_and(|bound| bound != to.incarnation) {
        return JoinAnswer::NumberUsed;
    }
    let member = |(node, addresses): (&u64, &crate::storage::NodeAddresses)| IntroducedMember {
        node: *node,
        api: addresses.api.clone(),
        peer: addresses.peer.clone(),
    };
    let mut members: Vec<_> = list.nodes().map(member).collect();
    members.sort_by_key(|member| member.node);
    JoinAnswer::Introduced(Introduction {
        ledger: genesis.ledger,
        epoch: replica.state.epoch(),
        rules: replica.rules,
        currency: genesis.currency.as_str().to_owned(),
        places: genesis.decimals,
        key_window_ms: genesis.key_window_ms,
        keys_max: genesis.keys_max,
        admin_key_hash: genesis.admin_key.0,
        members_index: index.unwrap_or(0),
        members,
    })
}
