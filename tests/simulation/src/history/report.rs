//! The trace of a run as text, up to the first violation.

use etebar_node::raft::Decided;
use ledger::{Action, Charge, Command};

use crate::command_port::PortReply;
use crate::history::events::{AttemptOutcome, OperationHistory, TraceEvent, Violation};
use crate::history::{Recorder, RunHistory};

/// How many events before the violation are printed in full.
const LINES_BEFORE: usize = 60;

/// Prints the trace and ends the process when anything panics: a node that panicked cannot be shut down in order.
pub fn exit_on_panic(recorder: &Recorder, seed: u64) {
    let recorder = recorder.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = format!("panicked: {message} ({place})");
        let at_ms = recorder.now_ms();
        match recorder.try_history() {
            Some(mut history) => {
                history.violations.push(Violation { at_ms, what, op: None });
                for line in lines(&history) {
                    println!("{line}");
                }
            }
            None => println!("{at_ms:>8} ms  BROKEN: {what}"),
        }
        println!("seed {seed} trace none: it panicked");
        std::process::exit(4);
    }));
}

/// The trace before the first violation, and all events of the operation that it is about.
pub fn lines(history: &RunHistory) -> Vec<String> {
    let Some(first) = history.violations.first() else { return Vec::new() };
    let before = history.trace.iter().filter(|(at_ms, _)| *at_ms <= first.at_ms).count();
    let from = before.saturating_sub(LINES_BEFORE);
    let mut lines = Vec::new();
    for (place, (at_ms, event)) in history.trace.iter().enumerate().take(before) {
        let is_recent = place >= from;
        if is_recent
            || is_about(event, first)
            || matches!(event, TraceEvent::Fault(_) | TraceEvent::Leader(..)) && place + 600 >= before
        {
            lines.push(format!("{:>8} ms  {}", at_ms, sentence(history, event)));
        }
    }
    lines.push(format!("{:>8} ms  BROKEN: {}", first.at_ms, first.what));
    lines
}

fn is_about(event: &TraceEvent, violation: &Violation) -> bool {
    match event {
        TraceEvent::Invoked(op, _) | TraceEvent::Completed(op, _) => violation.op == Some(*op),
        TraceEvent::Fault(_) | TraceEvent::PortRead(_) | TraceEvent::HttpRead(_) | TraceEvent::Leader(..) => false,
    }
}

fn sentence(history: &RunHistory, event: &TraceEvent) -> String {
    match event {
        TraceEvent::Fault(what) => format!("* {what}"),
        TraceEvent::Leader(node, term) => format!("* node {node} leads in term {term}"),
        TraceEvent::Invoked(op, attempt) => {
            let OperationHistory { client, commands, attempts } = &history.operations[*op];
            let node = attempts[*attempt].node.map_or_else(|| "over HTTP".to_owned(), |node| format!("node {node}"));
            format!("client {client} asks {node}, attempt {attempt} of operation {op}: {}", describe_all(commands))
        }
        TraceEvent::Completed(op, attempt) => {
            let OperationHistory { client, attempts, .. } = &history.operations[*op];
            let outcome = attempts[*attempt].completed.as_ref().map(|(_, outcome)| describe_outcome(outcome));
            format!("client {client} is answered, attempt {attempt} of operation {op}: {}", outcome.unwrap_or_default())
        }
        TraceEvent::HttpRead(place) => {
            let read = &history.http_reads[*place];
            format!("client {} reads over HTTP: {:?}", read.client, read.balance)
        }
        TraceEvent::PortRead(place) => {
            let read = &history.port_reads[*place];
            let (records, applied) = (read.result.records, read.result.applied);
            format!(
                "client {} reads {records} records at position {applied} from node {} ({:?})",
                read.client, read.node, read.mode
            )
        }
    }
}

fn describe_all(commands: &[Command]) -> String {
    let mut parts: Vec<String> = commands.iter().take(3).map(describe).collect();
    if commands.len() > 3 {
        parts.push(format!("and {} more", commands.len() - 3));
    }
    parts.join("; ")
}

fn describe(command: &Command) -> String {
    let key = command.idempotency_key.as_ref().map_or("no key", |key| key.as_str());
    let what = match &command.action {
        Action::Charge(Charge { phone, amount, reference: _ }) => format!("charge {} to {phone}", amount.minor()),
        other => format!("{other:?}"),
    };
    format!("{what} by key {} under {key}", command.actor)
}

fn describe_outcome(outcome: &AttemptOutcome) -> String {
    let AttemptOutcome::Port(PortReply::Decided(decisions)) = outcome else { return format!("{outcome:?}") };
    let parts = decisions.outcomes.iter().take(3).map(|decided| match decided {
        Decided::Recorded { record, replayed: false } => format!("record {}", record.number),
        Decided::Recorded { record, replayed: true } => format!("record {} again", record.number),
        Decided::NotRecorded(rejection) => format!("{rejection:?}"),
    });
    format!("decided at position {}: {}", decisions.position, parts.collect::<Vec<_>>().join(", "))
}
