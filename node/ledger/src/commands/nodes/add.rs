//! A new node: it gets a number that was never given before, and is to follow without a vote.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::{Refusal, Rejection};
use crate::state::node::NodeAddresses;
use crate::state::{NodeNumber, State};
use crate::values::ids::{At, RecordNumber};
use crate::values::rules::RULES_NODES;

/// Adds a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddNode {
    /// The highest number among the members that the sender knows: the nodes that a cluster was founded with are in no record
    /// before they make contact.
    pub above: NodeNumber,
    /// Where it will serve.
    pub addresses: NodeAddresses,
}

/// A node was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAdded {
    /// Its number.
    pub node: NodeNumber,
    /// Where it will serve.
    pub addresses: NodeAddresses,
}

impl CommandKind for AddNode {
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
        state.node_at(&self.addresses).map(|(_, node)| node.decided_by)
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        self.addresses.text_bytes()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.above);
        self.addresses.write(bytes);
    }
}

impl AddNode {
    /// Its addresses must not be another node's. With both of one that is there already it is that one.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<NodeAdded, Denial> {
        if let Some((_, there)) = context.state.node_at(&self.addresses) {
            let is_same = there.addresses.as_ref() == Some(&self.addresses);
            return Err(if is_same { Denial::Done(there.decided_by) } else { Refusal::AddressTaken.into() });
        }
        let last = context.state.last_node().max(self.above);
        let node = last.checked_add(1).ok_or(Rejection::Malformed)?;
        Ok(NodeAdded { node, addresses: self.addresses.clone() })
    }
}

impl EventKind for NodeAdded {
    fn role(&self) -> RequiredRole {
        RequiredRole::Operator
    }

    fn apply(&self, at: At, state: &mut State) {
        state.add_node(at, self.node, self.addresses.clone());
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.node);
        self.addresses.write(bytes);
    }
}
