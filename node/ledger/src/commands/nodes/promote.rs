//! A node that was added and follows is to vote.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Rejection;
use crate::state::node::NodeMembership;
use crate::state::{NodeNumber, State};
use crate::values::ids::{At, RecordNumber};
use crate::values::rules::RULES_NODES;

/// Gives a node that was added a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoteNode {
    /// Its number.
    pub node: NodeNumber,
}

/// A node is to vote, as soon as it has caught up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePromoted {
    /// Its number.
    pub node: NodeNumber,
}

impl CommandKind for PromoteNode {
    fn role(&self) -> RequiredRole {
        RequiredRole::Operator
    }

    fn since(&self) -> u32 {
        RULES_NODES
    }

    fn is_done_on_hold(&self) -> bool {
        true
    }

    fn subject(&self, state: &State) -> Option<RecordNumber> {
        state.node(self.node).filter(|node| node.membership == NodeMembership::Voter).map(|node| node.decided_by)
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.node);
    }
}

impl PromoteNode {
    /// It must have been added. Whether it has caught up is for whoever leads to see.
    pub(crate) fn evaluate(self, context: &Context<'_>) -> Result<NodePromoted, Denial> {
        let node = context.state.node(self.node).ok_or(Rejection::UnknownNode)?;
        match node.membership {
            NodeMembership::Learner => Ok(NodePromoted { node: self.node }),
            NodeMembership::Voter => Err(Denial::Done(node.decided_by)),
            NodeMembership::Founding | NodeMembership::Removed => Err(Rejection::UnknownNode.into()),
        }
    }
}

impl EventKind for NodePromoted {
    fn role(&self) -> RequiredRole {
        RequiredRole::Operator
    }

    fn apply(&self, at: At, state: &mut State) {
        state.promote_node(at, self.node);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.node);
    }
}
