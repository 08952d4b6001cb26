//! A node's number bound to its data directory, so that a wiped node cannot return under it.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Rejection;
use crate::state::node::{Node, NodeMembership};
use crate::state::{Incarnation, NodeNumber, State};
use crate::values::ids::At;

/// Binds a node's number to its data directory, at first contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterNode {
    /// The node's number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
}

/// A node's number was bound to its data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRegistered {
    /// The node's number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
}

impl CommandKind for RegisterNode {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.node);
        bytes.uuid(self.incarnation);
    }
}

impl RegisterNode {
    /// The number must not be bound yet, nor be of a node that was removed.
    pub(crate) fn evaluate(self, context: &Context<'_>) -> Result<NodeRegistered, Denial> {
        let is_removed = |node: &Node| node.membership == NodeMembership::Removed;
        if context.state.node(self.node).is_some_and(|node| node.incarnation.is_some() || is_removed(node)) {
            return Err(Rejection::OutOfPlace.into());
        }
        Ok(NodeRegistered { node: self.node, incarnation: self.incarnation })
    }
}

impl EventKind for NodeRegistered {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn apply(&self, _at: At, state: &mut State) {
        state.register_node(self.node, self.incarnation);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.node);
        bytes.uuid(self.incarnation);
    }
}
