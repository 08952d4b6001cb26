//! An answer as a question to the rules: would they have given it, at one of the states where it can have been given?

use ledger::{Command, RecordNumber, Rejection};

use crate::history::http_response::CommandResult;

/// An answer that must be correct at one of the states between two numbers of records.
pub struct Question<'a> {
    /// The operation that was answered.
    pub op: usize,
    /// The command of it.
    pub command: &'a Command,
    /// What was answered.
    pub answer: Answer<'a>,
    /// The last number of records at which it may be correct.
    pub until: u64,
}

/// What was answered, as far as it depends on the state.
#[derive(Debug)]
pub enum Answer<'a> {
    /// This record is the decision, made now.
    New(RecordNumber),
    /// This record is the decision, made before.
    Replay(RecordNumber),
    /// Refused without a record.
    Refused(Rejection),
    /// Refused over HTTP, with one of these records: a key that was dropped may stand for several.
    AnyOf(Vec<RecordNumber>),
    /// Refused over HTTP, without a record.
    HttpRefusal(&'a CommandResult),
}
