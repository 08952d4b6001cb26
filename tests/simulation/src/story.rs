//! The story of a run, told around the first broken promise.

use etebar_node::raft::Decided;
use ledger::{Action, Charge, Command};

use crate::book::{Book, Broken, Line, Op, Outcome, Pages};
use crate::door::Reply;

/// Lines told before the breach.
const LINES: usize = 60;

/// Ends the process with the story when anything panics: a member that panicked cannot be taken down in order.
pub fn end_with_panics(book: &Book, seed: u64) {
    let book = book.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or("it said nothing");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = format!("panicked: {said} ({place})");
        let at_ms = book.now_ms();
        match book.try_pages() {
            Some(mut pages) => {
                pages.broken.push(Broken { at_ms, what, op: None });
                tell(&pages).iter().for_each(|line| println!("{line}"));
            }
            None => println!("{at_ms:>8} ms  BROKEN: {what}"),
        }
        println!("seed {seed} trace none: it panicked");
        std::process::exit(4);
    }));
}

/// The story around the first breach, and all that concerns its op.
pub fn tell(pages: &Pages) -> Vec<String> {
    let Some(first) = pages.broken.first() else { return Vec::new() };
    let before = pages.story.iter().filter(|(at_ms, _)| *at_ms <= first.at_ms).count();
    let from = before.saturating_sub(LINES);
    let mut told = Vec::new();
    for (place, (at_ms, line)) in pages.story.iter().enumerate().take(before) {
        let is_near = place >= from;
        if is_near
            || concerns(line, first)
            || matches!(line, Line::Fault(_) | Line::Leader(..)) && place + 600 >= before
        {
            told.push(format!("{:>8} ms  {}", at_ms, sentence(pages, line)));
        }
    }
    told.push(format!("{:>8} ms  BROKEN: {}", first.at_ms, first.what));
    told
}

fn concerns(line: &Line, broken: &Broken) -> bool {
    match line {
        Line::Asked(op, _) | Line::Heard(op, _) => broken.op == Some(*op),
        Line::Fault(_) | Line::Read(_) | Line::Looked(_) | Line::Leader(..) => false,
    }
}

fn sentence(pages: &Pages, line: &Line) -> String {
    match line {
        Line::Fault(what) => format!("* {what}"),
        Line::Leader(node, term) => format!("* member {node} leads in term {term}"),
        Line::Asked(op, attempt) => {
            let Op { session, commands, attempts } = &pages.ops[*op];
            let whom = attempts[*attempt].node.map_or_else(|| "over HTTP".to_owned(), |node| format!("member {node}"));
            format!("client {session} asks {whom}, attempt {attempt} of op {op}: {}", wishes(commands))
        }
        Line::Heard(op, attempt) => {
            let Op { session, attempts, .. } = &pages.ops[*op];
            let heard = attempts[*attempt].heard.as_ref().map(|(_, outcome)| answer(outcome));
            format!("client {session} hears of op {op}, attempt {attempt}: {}", heard.unwrap_or_default())
        }
        Line::Looked(place) => {
            let looked = &pages.looks[*place];
            format!("client {} reads over HTTP: {:?}", looked.session, looked.look)
        }
        Line::Read(place) => {
            let read = &pages.reads[*place];
            let (records, applied) = (read.seen.records, read.seen.applied);
            format!(
                "client {} reads {records} records at position {applied} from member {} ({:?})",
                read.session, read.node, read.fresh
            )
        }
    }
}

fn wishes(commands: &[Command]) -> String {
    let mut said: Vec<String> = commands.iter().take(3).map(wish).collect();
    if commands.len() > 3 {
        said.push(format!("and {} more", commands.len() - 3));
    }
    said.join("; ")
}

fn wish(command: &Command) -> String {
    let key = command.idempotency_key.as_ref().map_or("no key", |key| key.as_str());
    let what = match &command.action {
        Action::Charge(Charge { phone, amount }) => format!("charge {} to {phone}", amount.minor()),
        other => format!("{other:?}"),
    };
    format!("{what} by key {} under {key}", command.actor)
}

fn answer(outcome: &Outcome) -> String {
    let Outcome::Said(Reply::Decided(decisions)) = outcome else { return format!("{outcome:?}") };
    let said = decisions.outcomes.iter().take(3).map(|decided| match decided {
        Decided::Recorded { record, replayed: false } => format!("record {}", record.number),
        Decided::Recorded { record, replayed: true } => format!("record {} again", record.number),
        Decided::NotRecorded(rejection) => format!("{rejection:?}"),
    });
    format!("decided at position {}: {}", decisions.position, said.collect::<Vec<_>>().join(", "))
}
