//! The answers of a run, each turned into a [`Question`], and how a question is answered at a state.

use std::collections::{BTreeMap, HashMap};

use etebar_node::raft::Decided;
use ledger::{Command, Event, Outcome as Decision, RecordNumber, Refused, Rejection, State, Time};

use crate::checks::checker::Checker;
use crate::checks::http_model::{refusal_result, rejection_result};
use crate::checks::question::{Answer, Question};
use crate::command_port::PortReply;
use crate::history::events::{Attempt, AttemptOutcome, LogicalTime};
use crate::history::http_response::CommandResult;

/// Where in the history an answer was given: after the first number of records and up to the second; and when.
#[derive(Clone, Copy)]
struct Given {
    from: u64,
    until: u64,
    at: LogicalTime,
}

impl<'a> Checker<'a> {
    /// All answers, by the number of records at which they may first be correct. Those that name a record are compared with it.
    pub fn questions(&mut self, counts: &BTreeMap<u64, u64>) -> HashMap<u64, Vec<Question<'a>>> {
        let mut questions: HashMap<u64, Vec<Question<'a>>> = HashMap::new();
        let history = self.history;
        for (op, operation) in history.operations.iter().enumerate() {
            for attempt in &operation.attempts {
                let Some((from, answers)) = self.answers(op, attempt, counts) else { continue };
                if answers.len() != operation.commands.len() {
                    self.violation(Some(op), format!("operation {op} got {} answers", answers.len()));
                    continue;
                }
                let answered = operation.commands.iter().zip(answers);
                let new = answered.map(|(command, (answer, until))| Question { op, command, answer, until });
                questions.entry(from).or_default().extend(new);
            }
        }
        questions
    }

    /// The answers to an attempt, each with the last number of records at which it may be correct, and the first of all.
    fn answers(
        &mut self,
        op: usize,
        attempt: &'a Attempt,
        counts: &BTreeMap<u64, u64>,
    ) -> Option<(u64, Vec<(Answer<'a>, u64)>)> {
        let (at, outcome) = attempt.completed.as_ref()?;
        let (position, floor) = match outcome {
            AttemptOutcome::Port(PortReply::Decided(decisions)) => (Some(decisions.position), 0),
            AttemptOutcome::Http(response) => (response.position, attempt.acknowledged),
            AttemptOutcome::NotSent | AttemptOutcome::NoAnswer | AttemptOutcome::Port(_) => return None,
        };
        let mut given = Given { from: floor, until: self.records.len() as u64, at: *at };
        if let Some(position) = position {
            given.from = counts.range(..position).next_back().map_or(0, |(_, count)| *count);
            let Some(until) = counts.get(&position) else {
                self.violation(Some(op), format!("operation {op} was decided at a position that no node applied"));
                return None;
            };
            given.until = *until;
        }
        let commands = &self.history.operations[op].commands;
        let answers: Vec<Answer<'a>> = match outcome {
            AttemptOutcome::Port(PortReply::Decided(decisions)) => {
                decisions.outcomes.iter().map(|decided| self.port_answer(op, decided, given)).collect()
            }
            AttemptOutcome::Http(response) => {
                let asked = commands.iter().zip(&response.results);
                asked.filter_map(|(command, result)| self.http_answer(op, command, result, given)).collect()
            }
            AttemptOutcome::NotSent | AttemptOutcome::NoAnswer | AttemptOutcome::Port(_) => return None,
        };
        Some((given.from, answers.into_iter().map(|answer| (answer, given.until)).collect()))
    }

    fn port_answer(&mut self, op: usize, decided: &Decided, given: Given) -> Answer<'a> {
        let (record, replayed) = match decided {
            Decided::Recorded { record, replayed } => (record, *replayed),
            Decided::NotRecorded(rejection) => return Answer::Refused(*rejection),
        };
        match self.records.get(record.number as usize - 1) {
            Some(found) if found == &**record => {}
            Some(found) => self.violation(Some(op), format!("{record:?} was acknowledged, and is {found:?}")),
            None => self.violation(Some(op), format!("{record:?} was acknowledged, and is lost")),
        }
        self.acknowledged(op, record.number, replayed, given)
    }

    /// An answer over HTTP; none where it is a violation by itself.
    fn http_answer(
        &mut self,
        op: usize,
        command: &Command,
        result: &'a CommandResult,
        given: Given,
    ) -> Option<Answer<'a>> {
        match result {
            CommandResult::Done { resource, replayed } => match self.http.record_of(resource) {
                Ok(record) => Some(self.acknowledged(op, record.number, *replayed, given)),
                Err(what) => {
                    self.violation(Some(op), what);
                    None
                }
            },
            CommandResult::Refused { .. } => {
                let numbers = self.refusals_like(command, result);
                if let [number] = numbers.as_slice() {
                    self.note_acknowledged(*number, given.at);
                }
                Some(if numbers.is_empty() { Answer::HttpRefusal(result) } else { Answer::AnyOf(numbers) })
            }
        }
    }

    /// The records of refusals under the command's key that HTTP shows like this.
    fn refusals_like(&self, command: &Command, result: &CommandResult) -> Vec<RecordNumber> {
        let key = command.idempotency_key.as_ref().map_or("", |key| key.as_str());
        let numbers = self.refusals.get(&(command.actor, key)).into_iter().flatten().copied();
        let is_like = |number: &RecordNumber| {
            let event = &self.records[*number as usize - 1].event;
            matches!(event, Event::Refused(Refused { refusal, .. }) if refusal_result(*refusal) == *result)
        };
        numbers.filter(is_like).collect()
    }

    /// An answer that names a record: a new one lies where it was decided, and is reported as new once.
    fn acknowledged(&mut self, op: usize, number: RecordNumber, replayed: bool, given: Given) -> Answer<'a> {
        self.note_acknowledged(number, given.at);
        if replayed {
            return Answer::Replay(number);
        }
        if !(given.from < number && number <= given.until) {
            self.violation(Some(op), format!("record {number} was reported as new outside its position"));
        }
        if self.new_in.insert(number, op).is_some() {
            self.violation(Some(op), format!("record {number} was reported as new twice"));
        }
        Answer::New(number)
    }

    fn note_acknowledged(&mut self, number: RecordNumber, at: LogicalTime) {
        let first = self.acknowledged.entry(number).or_insert(at);
        *first = at.min(*first);
    }

    /// Whether the rules give this answer at this state. A record that is decided there is checked by itself.
    pub fn is_correct(&self, state: &State, question: &Question<'_>) -> bool {
        let decision = || self.decide(state, question.command, Time(0));
        // Nothing says at which instant before the next record a command was refused; a key may have ended by then.
        let next = || self.records.get(state.records() as usize).map_or(Time::LAST, |record| record.time);
        let has_expired = || self.decide(state, question.command, next()) == Decision::Rejected(Rejection::KeyExpired);
        match &question.answer {
            Answer::New(number) => *number == state.records() + 1,
            Answer::Replay(number) => decision() == Decision::Replay(*number),
            Answer::AnyOf(numbers) => {
                matches!(decision(), Decision::Replay(number) if numbers.contains(&number))
            }
            Answer::Refused(Rejection::Inconsistent) => false,
            Answer::Refused(Rejection::KeyExpired) => has_expired(),
            Answer::Refused(rejection) => {
                !must_be_recorded(question.command, *rejection) && decision() == Decision::Rejected(*rejection)
            }
            Answer::HttpRefusal(result) => match decision() {
                _ if rejection_result(Rejection::KeyExpired).as_ref() == Some(*result) && has_expired() => true,
                Decision::Rejected(rejection) => {
                    !must_be_recorded(question.command, rejection)
                        && rejection_result(rejection).is_some_and(|expected| expected == **result)
                }
                Decision::New(_) | Decision::Replay(_) => false,
            },
        }
    }
}

/// Whether a refusal must be a record, so that its key is used up; written a second time, apart from the rules.
fn must_be_recorded(command: &Command, rejection: Rejection) -> bool {
    command.idempotency_key.is_some() && matches!(rejection, Rejection::Conflict(_))
}
