//! What Raft stores and answers with: the types that the log, the history and Raft share, and in [`plain`] the bytes of
//! those that are openraft's.

mod leader_id;
pub mod plain;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ledger::{Record, Rejection};
use openraft::alias::{EntryOf, LogIdOf, StoredMembershipOf, VoteOf};
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// Raft as Etebar uses it.
    pub TypeConfig:
        D = Payload,
        R = Decisions,
        NodeId = u64,
        Node = NodeAddresses,
        LeaderId = leader_id::LeaderId,
        AsyncRuntime = crate::runtime::Rt,
);

/// Term, leader and index of one log entry.
pub type LogId = LogIdOf<TypeConfig>;
/// What this node voted for.
pub type Vote = VoteOf<TypeConfig>;
/// One entry of the log.
pub type LogEntry = EntryOf<TypeConfig>;
/// The members of the cluster, and the entry that set them.
pub type StoredMembership = StoredMembershipOf<TypeConfig>;

/// Where a node listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddresses {
    /// The address of its HTTP API, `host:port`.
    pub api: String,
    /// The address of its peer link, `host:port`.
    pub peer: String,
}

/// The encoded commands of one log entry. Encoded once and shared by log, peers and apply: a clone copies no bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What became of a group of commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// The log index of the entry that held them.
    pub position: u64,
    /// One for each command, in their order.
    pub outcomes: Vec<Decided>,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decided {
    /// It is decided and recorded: done, or refused permanently ([`ledger::Event::Refused`]).
    Recorded {
        /// The decision, shared with the history.
        #[serde(with = "shared")]
        record: Arc<Record>,
        /// Whether it was decided before, under the same key.
        replayed: bool,
    },
    /// Nothing was done and nothing is remembered.
    NotRecorded(Rejection),
}

/// A record that is shared in memory; its bytes are those of the record.
mod shared {
    use std::sync::Arc;

    use ledger::Record;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(record: &Arc<Record>, to: S) -> Result<S::Ok, S::Error> {
        record.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Record>, D::Error> {
        Record::deserialize(from).map(Arc::new)
    }
}
