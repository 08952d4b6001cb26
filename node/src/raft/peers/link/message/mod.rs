//! What nodes send each other apart from the hello and snapshots: calls, each with one answer; in [`raft`] what is Raft's,
//! append sessions among it; in [`join`] what a node that joins is told.
//!
//! Enums are encoded by position: add at the end, never remove or reorder, and send what is added only over a version of the
//! link that has it.

pub mod join;
pub mod raft;

use std::ops::Deref;
use std::sync::Arc;

use ledger::{Command, Digest, NodeNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::raft::{PlainTransfer, PlainTransferred, PlainVoteRequest, PlainVoteResponse};
use super::hello::version::{LINK_VERSIONS, LinkVersion};
use crate::raft::ledger_time::LedgerTime;
use crate::runtime::log::trace_context::TraceContext;
use crate::storage::types::Decisions;

/// What a connection is for. Each has its own, so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An ordered session of append requests and their answers.
    Append,
    /// Short calls: votes, read positions, status.
    Control,
    /// Commands on their way to the leader; their answers wait for a commit.
    Forward,
    /// One snapshot.
    Snapshot,
    /// One answer to a node that has no data directory yet.
    Join,
}

/// A call to a peer.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// A ping, sent while calls wait, so that a dead connection is noticed.
    Ping,
    /// Raft's request for a vote.
    Vote(PlainVoteRequest),
    /// Raft's pre-vote.
    PreVote(PlainVoteRequest),
    /// Raft's hand-over of leadership.
    TransferLeader(PlainTransfer),
    /// A position that includes everything acknowledged so far; only the leader knows one.
    ReadPosition {
        /// How long the caller waits, in milliseconds.
        wait_ms: u64,
    },
    /// The caller's status; the answer is the other side's.
    Status(StatusMessage),
    /// Commands to be decided as one group; only the leader takes them.
    Forward {
        /// The commands, in order.
        commands: Commands,
        /// How long the caller waits, in milliseconds.
        wait_ms: u64,
    },
    /// The leader shall make this voter the leader; only the leader takes it. Since version 5 of the link.
    HandOver {
        /// The voter.
        to: NodeNumber,
        /// How long the caller waits, in milliseconds.
        wait_ms: u64,
    },
    /// The same as `Forward`, for a caller whose request belongs to a trace. Since version 6 of the link.
    ForwardTraced {
        /// The caller's trace.
        trace: TraceContext,
        /// The commands, in order.
        commands: Commands,
        /// How long the caller waits, in milliseconds.
        wait_ms: u64,
    },
}

impl Request {
    /// Commands to be decided as one group, in their caller's trace where it has one.
    pub(crate) fn forward(commands: Commands, wait_ms: u64, trace: Option<TraceContext>) -> Self {
        match trace {
            None => Self::Forward { commands, wait_ms },
            Some(trace) => Self::ForwardTraced { trace, commands, wait_ms },
        }
    }

    /// The same for a peer that speaks this version of the link; `None` where that has no such call. What is for people alone
    /// is left out for an older build.
    pub(crate) fn in_version(self, version: LinkVersion) -> Option<Self> {
        if self.since() <= version {
            return Some(self);
        }
        match self {
            Self::ForwardTraced { trace: _, commands, wait_ms } => Some(Self::Forward { commands, wait_ms }),
            Self::Ping
            | Self::Vote(_)
            | Self::PreVote(_)
            | Self::TransferLeader(_)
            | Self::ReadPosition { .. }
            | Self::Status(_)
            | Self::Forward { .. }
            | Self::HandOver { .. } => None,
        }
    }

    /// The first version of the link that has it.
    pub(crate) fn since(&self) -> LinkVersion {
        match self {
            Self::Ping
            | Self::Vote(_)
            | Self::PreVote(_)
            | Self::TransferLeader(_)
            | Self::ReadPosition { .. }
            | Self::Status(_)
            | Self::Forward { .. } => LINK_VERSIONS.lowest,
            Self::HandOver { .. } => 5,
            Self::ForwardTraced { .. } => 6,
        }
    }
}

/// The answer to the call of the same name.
#[derive(Debug, Serialize, Deserialize)]
pub enum Response {
    /// The answer to a ping.
    Pong,
    /// Raft's answer to a request for a vote.
    Vote(PlainVoteResponse),
    /// Raft's answer to a pre-vote.
    PreVote(PlainVoteResponse),
    /// Raft's answer to a hand-over.
    TransferLeader(PlainTransferred),
    /// The position; `None` where this node cannot lead a read now.
    ReadPosition(Option<u64>),
    /// The status of the answering node.
    Status(StatusMessage),
    /// What became of the commands.
    Forward(Result<Decisions, Unavailable>),
    /// The node is stopping or cannot serve this.
    Declined(String),
    /// Whether that voter leads now, and why not. Since version 5 of the link.
    HandOver(Result<(), NotHandedOver>),
}

/// Why forwarded commands got no decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Unavailable {
    /// Nothing was written: not the leader; perhaps this one is.
    NotLeader(Option<NodeNumber>),
    /// Nothing was written: there is no room for it now, and this is why.
    Overloaded(String),
    /// It may or may not be in the log.
    Unknown,
    /// Nothing was written: the leader's disk has no more room than it keeps in reserve.
    DiskFull,
}

/// Why a leader did not make a voter the leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotHandedOver {
    /// Nothing was begun: this node does not lead; perhaps this one does.
    NotLeader(Option<NodeNumber>),
    /// Nothing was begun: there is no member of that number.
    NotMember,
    /// Nothing was begun: it does not vote.
    Learner,
    /// Nothing was begun: it does not answer.
    Unreachable,
    /// Nothing was begun: it is unhealthy, for this reason.
    Unhealthy(String),
    /// Nothing was begun: its clock is so many milliseconds ahead of the others' (behind, where negative).
    ClockOff(i64),
    /// Nothing was begun: its log or its state is so many positions behind, after a wait too.
    Behind(u64),
    /// Nothing was begun: the leader hands over to another one at this moment.
    Busy,
    /// It was asked to, and did not come to lead in time. Writes continue under whoever leads now.
    NotTaken,
}

/// The status of a node; exchanged a few times a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusMessage {
    /// Who says it.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: ledger::Incarnation,
    /// Its wall clock, in milliseconds since the Unix epoch.
    pub clock_ms: u64,
    /// The leader that it knows, while that one's status arrives; for itself, while a quorum answers.
    pub leader: Option<NodeNumber>,
    /// Its position.
    pub applied: u64,
    /// The digest over everything decided up to there.
    pub digest: Digest,
    /// Why it stopped itself, if it did.
    pub failure: Option<String>,
    /// Where it takes ledger time to be.
    pub ledger_time: Option<LedgerTime>,
    /// The members as it knows them.
    pub members: MemberList,
    /// The newest version of the ledger's rules that its build knows.
    pub rules: u32,
}

/// A list of the members, and the log index of the entry that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberList {
    /// The index; `None` for the list that a cluster begins with.
    pub index: Option<u64>,
    /// Their numbers.
    pub members: Vec<NodeNumber>,
}

/// A call or an answer with the number that joins them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Numbered<T> {
    /// Unique among the calls of one connection.
    pub id: u64,
    /// The call or the answer.
    pub body: T,
}

/// Commands in order, shared: by the queue, the entry and every attempt to have them decided.
#[derive(Debug, Clone)]
pub struct Commands(Arc<Vec<Command>>);

impl Deref for Commands {
    type Target = [Command];

    fn deref(&self) -> &[Command] {
        &self.0
    }
}

impl From<Vec<Command>> for Commands {
    fn from(commands: Vec<Command>) -> Self {
        Self(Arc::new(commands))
    }
}

impl Serialize for Commands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}
