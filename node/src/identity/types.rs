//! What `init` or `join` fixes permanently: the content of `identity.json`.
//!
//! Its JSON is under a checksum, so fields are added only where they are left out on nodes that lack them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The layout of a data directory that this build reads and writes.
pub const FORMAT: u32 = 2;

/// A node's addresses, as its peers and clients dial them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberAddress {
    /// Host and port of its HTTP API.
    pub api: String,
    /// Host and port of its peer link.
    pub peer: String,
}

/// What the genesis fixes; the same on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSettings {
    /// The currency's name.
    pub currency: String,
    /// Decimal places of an amount, 0 to 4.
    pub places: u8,
    /// How long an idempotency key is remembered, in milliseconds.
    pub key_window_ms: u64,
    /// How many idempotency keys are remembered at most.
    pub keys_max: u64,
    /// BLAKE3 of the first admin key, 64 hexadecimal digits.
    pub admin_key_hash: String,
}

/// What a node that joined a cluster knows of itself and of the list of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// Its addresses, as it was added with them.
    pub address: MemberAddress,
    /// The index of the log entry that made the list in [`Identity::members`].
    pub members_index: u64,
}

/// What `init` or `join` fixed permanently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// See [`FORMAT`].
    pub format: u32,
    /// The cluster's id: of its members, their link and their certificates.
    pub cluster: Uuid,
    /// The ledger's id: the cluster's, where the ledger was never restored.
    pub ledger: Uuid,
    /// 1, and one more for each restore of the ledger.
    pub epoch: u32,
    /// This node's number.
    pub node: u64,
    /// Drawn when the directory is made: a wiped node comes back with another, and is refused.
    pub incarnation: Uuid,
    /// All members that the cluster is founded with, this node among them. On a node that joined, the others that were members
    /// then: the node itself is not among them, so that it begins no cluster of its own.
    pub members: BTreeMap<u64, MemberAddress>,
    /// Of a node that joined; absent on a founding one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Joined>,
    /// What the genesis fixes.
    pub genesis: GenesisSettings,
}

impl Identity {
    /// This node's addresses; `None` where the identity does not name them.
    pub fn address(&self) -> Option<&MemberAddress> {
        self.joined.as_ref().map(|joined| &joined.address).or_else(|| self.members.get(&self.node))
    }
}
