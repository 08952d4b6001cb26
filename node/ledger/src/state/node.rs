//! What the ledger has decided of a node.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::ItemBytes;
use crate::values::ids::RecordNumber;
use crate::values::text::Address;

/// The number of a node.
pub type NodeNumber = u64;

/// Drawn when a data directory is made; a wiped node comes back with another.
pub type Incarnation = Uuid;

/// Where a node serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddresses {
    /// Host and port of its HTTP API.
    pub api: Address,
    /// Host and port of its peer link.
    pub peer: Address,
}

impl NodeAddresses {
    /// Whether one of them is also the other's.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        [&self.api, &self.peer].iter().any(|own| **own == other.api || **own == other.peer)
    }

    /// How many bytes their texts have.
    pub(crate) fn text_bytes(&self) -> usize {
        self.api.as_str().len().saturating_add(self.peer.as_str().len())
    }

    /// What a record's digest covers of them.
    pub(crate) fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.text(self.api.as_str());
        bytes.text(self.peer.as_str());
    }
}

/// What an admin decided of a node's membership.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeMembership {
    /// Nothing: it is one that the cluster was founded with.
    #[default]
    Founding,
    /// It is to follow, without a vote.
    Learner,
    /// It is to vote.
    Voter,
    /// It is to be a member no longer.
    Removed,
}

/// A node, as the records have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its data directory, once it made contact.
    pub incarnation: Option<Incarnation>,
    /// Where it serves; `None` for one that the cluster was founded with.
    pub addresses: Option<NodeAddresses>,
    /// What was decided of its membership.
    pub membership: NodeMembership,
    /// The record that decided it last; 0 where none did.
    pub decided_by: RecordNumber,
}
