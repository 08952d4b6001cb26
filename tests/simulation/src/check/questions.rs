//! Answers as questions to the rules: would they have given this answer, at one of the states where it can have been given?

use std::collections::{BTreeMap, HashMap};

use etebar_node::raft::Decided;
use ledger::{Command, Event, Outcome as Decision, RecordNumber, Refused, Rejection, State, Time};

use super::Checker;
use crate::book::{Attempt, Outcome, Turn};
use crate::door::Reply;
use crate::shown::{Told, told, told_of};

/// An answer that has to be found right at one of the states between two numbers of records.
pub struct Question<'a> {
    /// The op that was answered.
    pub op: usize,
    /// The command of it.
    pub command: &'a Command,
    /// What was answered.
    pub answer: Answer<'a>,
    /// The last number of records at which it may be right.
    pub until: u64,
}

/// What was answered, as far as it depends on the state.
#[derive(Debug)]
pub enum Answer<'a> {
    /// This record is the decision, made now.
    New(RecordNumber),
    /// This record is the decision, made before.
    Again(RecordNumber),
    /// Refused without a record.
    Refused(Rejection),
    /// Refused over HTTP, with one of these records: a key that was forgotten may stand for several.
    AnyOf(Vec<RecordNumber>),
    /// Refused over HTTP, without a record.
    Told(&'a Told),
}

/// Where in the history an answer was given: after the first number of records and up to the second; and when.
#[derive(Clone, Copy)]
struct Given {
    from: u64,
    until: u64,
    turn: Turn,
}

impl<'a> Checker<'a> {
    /// All answers, by the number of records at which they may first be right. Those that name a record are compared with it.
    pub(super) fn questions(&mut self, counts: &BTreeMap<u64, u64>) -> HashMap<u64, Vec<Question<'a>>> {
        let mut questions: HashMap<u64, Vec<Question<'a>>> = HashMap::new();
        let pages = self.pages;
        for (op, asked) in pages.ops.iter().enumerate() {
            for attempt in &asked.attempts {
                let Some((from, answers)) = self.answers(op, attempt, counts) else { continue };
                if answers.len() != asked.commands.len() {
                    self.breach(Some(op), format!("op {op} got {} answers", answers.len()));
                    continue;
                }
                let asked = asked.commands.iter().zip(answers);
                let new = asked.map(|(command, (answer, until))| Question { op, command, answer, until });
                questions.entry(from).or_default().extend(new);
            }
        }
        questions
    }

    /// The answers to an attempt, each with the last number of records at which it may be right, and the first of all.
    fn answers(
        &mut self,
        op: usize,
        attempt: &'a Attempt,
        counts: &BTreeMap<u64, u64>,
    ) -> Option<(u64, Vec<(Answer<'a>, u64)>)> {
        let (turn, outcome) = attempt.heard.as_ref()?;
        let (position, floor) = match outcome {
            Outcome::Said(Reply::Decided(decisions)) => (Some(decisions.position), 0),
            Outcome::Shown(shown) => (shown.position, attempt.floor),
            Outcome::NotSent | Outcome::Silence | Outcome::Said(_) => return None,
        };
        let mut given = Given { from: floor, until: self.records.len() as u64, turn: *turn };
        if let Some(position) = position {
            given.from = counts.range(..position).next_back().map_or(0, |(_, count)| *count);
            let Some(until) = counts.get(&position) else {
                self.breach(Some(op), format!("op {op} was decided at a position that nobody applied"));
                return None;
            };
            given.until = *until;
        }
        let commands = &self.pages.ops[op].commands;
        let answers: Vec<Answer<'a>> = match outcome {
            Outcome::Said(Reply::Decided(decisions)) => {
                decisions.outcomes.iter().map(|decided| self.decided(op, decided, given)).collect()
            }
            Outcome::Shown(shown) => {
                let asked = commands.iter().zip(&shown.told);
                asked.filter_map(|(command, told)| self.shown(op, command, told, given)).collect()
            }
            Outcome::NotSent | Outcome::Silence | Outcome::Said(_) => return None,
        };
        Some((given.from, answers.into_iter().map(|answer| (answer, given.until)).collect()))
    }

    fn decided(&mut self, op: usize, decided: &Decided, given: Given) -> Answer<'a> {
        let (record, replayed) = match decided {
            Decided::Recorded { record, replayed } => (record, *replayed),
            Decided::NotRecorded(rejection) => return Answer::Refused(*rejection),
        };
        match self.records.get(record.number as usize - 1) {
            Some(found) if found == record => {}
            Some(found) => self.breach(Some(op), format!("{record:?} was acknowledged, and is {found:?}")),
            None => self.breach(Some(op), format!("{record:?} was acknowledged, and is lost")),
        }
        self.told(op, record.number, replayed, given)
    }

    /// An answer over HTTP; none where it is broken by itself.
    fn shown(&mut self, op: usize, command: &Command, shown: &'a Told, given: Given) -> Option<Answer<'a>> {
        match shown {
            Told::Done { thing, replayed } => match self.library.record_of(thing) {
                Ok(record) => Some(self.told(op, record.number, *replayed, given)),
                Err(what) => {
                    self.breach(Some(op), what);
                    None
                }
            },
            Told::Refused { .. } => {
                let numbers = self.refused(command, shown);
                if let [number] = numbers.as_slice() {
                    self.tell(*number, given.turn);
                }
                Some(if numbers.is_empty() { Answer::Told(shown) } else { Answer::AnyOf(numbers) })
            }
        }
    }

    /// The records of refusals under the command's key that are told like this.
    fn refused(&self, command: &Command, shown: &Told) -> Vec<RecordNumber> {
        let key = command.idempotency_key.as_ref().map_or("", |key| key.as_str());
        let numbers = self.refusals.get(&(command.actor, key)).into_iter().flatten().copied();
        let is_told_so = |number: &RecordNumber| match &self.records[*number as usize - 1].event {
            Event::Refused(Refused { refusal, .. }) => told_of(*refusal) == *shown,
            _ => false,
        };
        numbers.filter(is_told_so).collect()
    }

    /// An answer that names a record: a new one lies where it was decided, and is told as new once.
    fn told(&mut self, op: usize, number: RecordNumber, replayed: bool, given: Given) -> Answer<'a> {
        self.tell(number, given.turn);
        if replayed {
            return Answer::Again(number);
        }
        if !(given.from < number && number <= given.until) {
            self.breach(Some(op), format!("record {number} was told as new beside its position"));
        }
        if self.told_new.insert(number, op).is_some() {
            self.breach(Some(op), format!("record {number} was told as new twice"));
        }
        Answer::New(number)
    }

    fn tell(&mut self, number: RecordNumber, turn: Turn) {
        let first = self.told.entry(number).or_insert(turn);
        *first = turn.min(*first);
    }

    /// Whether the rules give this answer at this state. A record that is decided there is checked by itself.
    pub(super) fn is_right(&self, state: &State, question: &Question<'_>) -> bool {
        let decision = || self.decide(state, question.command, Time(0));
        match &question.answer {
            Answer::New(number) => *number == state.records() + 1,
            Answer::Again(number) => decision() == Decision::Replay(*number),
            Answer::AnyOf(numbers) => {
                matches!(decision(), Decision::Replay(number) if numbers.contains(&number))
            }
            Answer::Refused(Rejection::Inconsistent) => false,
            Answer::Refused(rejection) => {
                !wants_record(question.command, *rejection) && decision() == Decision::Rejected(*rejection)
            }
            Answer::Told(shown) => match decision() {
                Decision::Rejected(rejection) => {
                    !wants_record(question.command, rejection) && told(rejection).is_some_and(|told| told == **shown)
                }
                Decision::New(_) | Decision::Replay(_) => false,
            },
        }
    }
}

/// Whether a refusal must be a record, so that its key is used up; said here a second time, beside the rules.
fn wants_record(command: &Command, rejection: Rejection) -> bool {
    command.idempotency_key.is_some() && matches!(rejection, Rejection::Conflict(_))
}
