//! A node is to be a member no longer. Its number and its data directory are never used again.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Rejection;
use crate::state::node::NodeMembership;
use crate::state::{NodeNumber, State};
use crate::values::ids::{At, RecordNumber};
use crate::values::rules::RULES_NODES;

/// Removes a node, permanently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveNode {
    /// Its number.
    pub node: NodeNumber,
}

/// A node is to be a member no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRemoved {
    /// Its number.
    pub node: NodeNumber,
}

impl CommandKind for RemoveNode {
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
        state.node(self.node).filter(|node| node.membership == NodeMembership::Removed).map(|node| node.decided_by)
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

impl RemoveNode {
    /// One that the cluster was founded with may have no record yet.
    pub(crate) fn evaluate(self, context: &Context<'_>) -> Result<NodeRemoved, Denial> {
        match context.state.node(self.node) {
            Some(node) if node.membership == NodeMembership::Removed => Err(Denial::Done(node.decided_by)),
            None if self.node == 0 => Err(Rejection::UnknownNode.into()),
            Some(_) | None => Ok(NodeRemoved { node: self.node }),
        }
    }
}

impl EventKind for NodeRemoved {
    fn role(&self) -> RequiredRole {
        RequiredRole::Operator
    }

    fn apply(&self, at: At, state: &mut State) {
        state.remove_node(at, self.node);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.node);
    }
}
