//! What became of the operations of a run.

use etebar_node::raft::Decided;
use ledger::Event;

use crate::command_port::PortReply;
use crate::history::RunHistory;
use crate::history::events::{AttemptOutcome, LogicalTime, OperationHistory};
use crate::history::http_response::{CommandResult, Resource};

/// All attempts that completed.
pub fn attempts(operations: &[OperationHistory]) -> impl Iterator<Item = &(LogicalTime, AttemptOutcome)> {
    operations.iter().flat_map(|op| &op.attempts).filter_map(|attempt| attempt.completed.as_ref())
}

/// Charges among the operations from `first` on that were accepted for the first time.
pub fn charges_since(history: &RunHistory, first: usize) -> usize {
    let is_charge = |decided: &&Decided| match decided {
        Decided::Recorded { record, replayed: false } => matches!(record.event, Event::Charged(_)),
        Decided::Recorded { .. } | Decided::NotRecorded(_) => false,
    };
    let is_http_charge = |result: &&CommandResult| match result {
        CommandResult::Done { resource, replayed: false } => matches!(**resource, Resource::Charge(_)),
        CommandResult::Done { .. } | CommandResult::Refused { .. } => false,
    };
    let charges = attempts(&history.operations[first..]).map(|(_, outcome)| match outcome {
        AttemptOutcome::Port(PortReply::Decided(decisions)) => decisions.outcomes.iter().filter(is_charge).count(),
        AttemptOutcome::Http(response) => response.results.iter().filter(is_http_charge).count(),
        AttemptOutcome::NotSent | AttemptOutcome::NoAnswer | AttemptOutcome::Port(_) => 0,
    });
    charges.sum()
}
