//! Raft's requests and answers as they go over the link: structs of our own, and the one place where they become openraft's.
//!
//! Enums are encoded by position: add at the end, never remove or reorder. Layout: `docs/format.md`.

use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::storage::types::plain::{NoMembers, PlainEntry, PlainLogId, PlainVote};
use crate::storage::types::{LogEntry, LogId, TypeConfig};

/// A request to append.
pub type Append = AppendEntriesRequest<TypeConfig>;
/// The answer to it: the last log id that the peer now has, a conflict, or a higher vote.
pub type Appended = StreamAppendResult<TypeConfig>;

/// See [`Append`]. Its entries share their payloads with those that it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainAppend {
    /// The leader's vote.
    pub vote: PlainVote,
    /// The log id before the first entry.
    pub previous: Option<PlainLogId>,
    /// The entries, in order; none in a heartbeat.
    pub entries: Vec<PlainEntry>,
    /// The last log id that the leader knows to be committed.
    pub committed: Option<PlainLogId>,
}

/// See [`Appended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlainAppended {
    /// The logs are equal up to here.
    Matched(Option<PlainLogId>),
    /// The peer's log has another entry there, or none.
    Conflict(PlainLogId),
    /// The peer knows a newer leader or candidate.
    HigherVote(PlainVote),
}

/// A request for a vote or a pre-vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainVoteRequest {
    /// The candidate's vote.
    pub vote: PlainVote,
    /// The last entry of its log.
    pub last: Option<PlainLogId>,
    /// Whether the leader asked it to take over.
    pub takes_over: bool,
}

/// The answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainVoteResponse {
    /// The voter's vote after it.
    pub vote: PlainVote,
    /// Whether it is given.
    pub granted: bool,
    /// The last entry of the voter's log.
    pub last: Option<PlainLogId>,
}

/// A leader's request to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainTransfer {
    /// The leader's vote.
    pub from: PlainVote,
    /// The node that is to take over.
    pub to: u64,
    /// The entry that it must have.
    pub last: Option<PlainLogId>,
}

/// The answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlainTransferred {
    /// The node is a candidate now, or was not meant.
    Taken,
    /// Its vote is another one.
    VoteChanged {
        /// What the leader named.
        expected: PlainVote,
        /// What it is.
        actual: PlainVote,
    },
    /// Its log does not hold that entry.
    NotFlushed {
        /// What the leader named.
        expected: Option<PlainLogId>,
        /// What it holds.
        actual: Option<PlainLogId>,
    },
}

impl From<&Append> for PlainAppend {
    fn from(request: &Append) -> Self {
        Self {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(PlainLogId::from),
            entries: request.entries.iter().map(PlainEntry::from).collect(),
            committed: request.leader_commit.map(PlainLogId::from),
        }
    }
}

impl TryFrom<PlainAppend> for Append {
    type Error = NoMembers;

    fn try_from(plain: PlainAppend) -> Result<Self, NoMembers> {
        Ok(Self {
            vote: plain.vote.into(),
            prev_log_id: plain.previous.map(LogId::from),
            entries: plain.entries.into_iter().map(LogEntry::try_from).collect::<Result<_, _>>()?,
            leader_commit: plain.committed.map(LogId::from),
        })
    }
}

impl From<&Appended> for PlainAppended {
    fn from(answer: &Appended) -> Self {
        match answer {
            Ok(matched) => Self::Matched(matched.map(PlainLogId::from)),
            Err(StreamAppendError::Conflict(at)) => Self::Conflict((*at).into()),
            Err(StreamAppendError::HigherVote(vote)) => Self::HigherVote((*vote).into()),
        }
    }
}

impl From<PlainAppended> for Appended {
    fn from(plain: PlainAppended) -> Self {
        match plain {
            PlainAppended::Matched(matched) => Ok(matched.map(LogId::from)),
            PlainAppended::Conflict(at) => Err(StreamAppendError::Conflict(at.into())),
            PlainAppended::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote.into())),
        }
    }
}

impl From<VoteRequest<TypeConfig>> for PlainVoteRequest {
    fn from(request: VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            last: request.last_log_id.map(PlainLogId::from),
            takes_over: request.leadership_transfer,
        }
    }
}

impl From<PlainVoteRequest> for VoteRequest<TypeConfig> {
    fn from(plain: PlainVoteRequest) -> Self {
        Self {
            vote: plain.vote.into(),
            last_log_id: plain.last.map(LogId::from),
            leadership_transfer: plain.takes_over,
        }
    }
}

impl From<VoteResponse<TypeConfig>> for PlainVoteResponse {
    fn from(answer: VoteResponse<TypeConfig>) -> Self {
        Self { vote: answer.vote.into(), granted: answer.vote_granted, last: answer.last_log_id.map(PlainLogId::from) }
    }
}

impl From<PlainVoteResponse> for VoteResponse<TypeConfig> {
    fn from(plain: PlainVoteResponse) -> Self {
        Self { vote: plain.vote.into(), vote_granted: plain.granted, last_log_id: plain.last.map(LogId::from) }
    }
}

impl From<TransferLeaderRequest<TypeConfig>> for PlainTransfer {
    fn from(request: TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            from: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(PlainLogId::from),
        }
    }
}

impl From<PlainTransfer> for TransferLeaderRequest<TypeConfig> {
    fn from(plain: PlainTransfer) -> Self {
        Self::new(plain.from.into(), plain.to, plain.last.map(LogId::from))
    }
}

impl From<TransferLeaderResponse<TypeConfig>> for PlainTransferred {
    fn from(answer: TransferLeaderResponse<TypeConfig>) -> Self {
        match answer {
            Ok(()) => Self::Taken,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::VoteChanged { expected: expected.into(), actual: actual.into() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                Self::NotFlushed { expected: expected.map(PlainLogId::from), actual: actual.map(PlainLogId::from) }
            }
        }
    }
}

impl From<PlainTransferred> for TransferLeaderResponse<TypeConfig> {
    fn from(plain: PlainTransferred) -> Self {
        match plain {
            PlainTransferred::Taken => Ok(()),
            PlainTransferred::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged { expected: expected.into(), actual: actual.into() })
            }
            PlainTransferred::NotFlushed { expected, actual } => Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(LogId::from),
                actual: actual.map(LogId::from),
            }),
        }
    }
}
