//! What a run records: operations with their attempts and outcomes, reads, trace events and violations.

use ledger::{Command, RecordNumber};

use crate::command_port::{PortReply, ReadMode, ReadResult};
use crate::history::http_response::{CommandResult, HttpResponse};

/// The place of an event in the order of all events.
pub type LogicalTime = u64;

/// An operation of a client: commands to be decided as one group, under the same keys at every attempt.
#[derive(Debug)]
pub struct OperationHistory {
    /// The client.
    pub client: u64,
    /// Its commands, in order.
    pub commands: Vec<Command>,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// One attempt at an operation.
#[derive(Debug)]
pub struct Attempt {
    /// The node that was asked; none where the client library chose.
    pub node: Option<u64>,
    /// The largest record that any client had been shown when it was invoked.
    pub acknowledged: RecordNumber,
    /// When it was invoked.
    pub invoked: LogicalTime,
    /// When it was completed, and how.
    pub completed: Option<(LogicalTime, AttemptOutcome)>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Nothing was sent.
    NotSent,
    /// It was sent, and no answer came.
    NoAnswer,
    /// Answered by the command port.
    Port(PortReply),
    /// Answered over HTTP.
    Http(HttpResponse),
}

impl AttemptOutcome {
    /// Whether the attempt certainly had no effect.
    pub fn is_certainly_not_done(&self) -> bool {
        match self {
            Self::NotSent | Self::Port(PortReply::NotDone(_)) => true,
            Self::Http(response) => response.results.iter().all(CommandResult::left_no_record),
            Self::NoAnswer | Self::Port(_) => false,
        }
    }

    /// Whether it was decided, one way or the other.
    pub fn is_decided(&self) -> bool {
        matches!(self, Self::Port(PortReply::Decided(_)) | Self::Http(_))
    }
}

/// A completed read over the command port.
#[derive(Debug)]
pub struct PortRead {
    /// The client.
    pub client: u64,
    /// The node that answered.
    pub node: u64,
    /// Linearizable or local.
    pub mode: ReadMode,
    /// The seller whose balance was read.
    pub seller: RecordNumber,
    /// The API key of the reader.
    pub actor: u64,
    /// What the read returned.
    pub result: ReadResult,
}

/// A completed read over HTTP.
#[derive(Debug)]
pub struct HttpRead {
    /// The client.
    pub client: u64,
    /// The largest record that any client had been shown when it was invoked.
    pub acknowledged: RecordNumber,
    /// What the read returned.
    pub balance: HttpBalance,
}

/// A balance as HTTP showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpBalance {
    /// The position that it reflects.
    pub applied: u64,
    /// The seller whose key asked.
    pub seller: RecordNumber,
    /// Its balance.
    pub balance: i128,
}

/// A line of the trace.
#[derive(Debug, Hash)]
pub enum TraceEvent {
    /// A fault was injected or ended, or a node started or stopped.
    Fault(String),
    /// An attempt was invoked: the operation's place, and the attempt's.
    Invoked(usize, usize),
    /// And completed.
    Completed(usize, usize),
    /// A read over the command port was completed: its place.
    PortRead(usize),
    /// A read over HTTP was completed: its place.
    HttpRead(usize),
    /// A node became leader in a term.
    Leader(u64, u64),
}

/// A violation of a guarantee.
#[derive(Debug)]
pub struct Violation {
    /// When it was found, in simulated milliseconds since the start.
    pub at_ms: u64,
    /// What is wrong.
    pub what: String,
    /// The operation that it is about, where it is about one.
    pub op: Option<usize>,
}
