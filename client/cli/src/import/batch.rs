//! One batch of charges: sent until it is answered, and its answer as events of the resume file.

use std::collections::BTreeSet;

use etebar::api::{AmountIn, BatchItem, BatchRequest, BatchResult, Code, Problem};
use etebar::{Client, Error};

use super::files::record::Event;
use crate::output::error::CliError;

/// One batch, as it was sent.
pub(crate) struct Batch {
    pub(crate) charges: Vec<Charge>,
    /// Those lines that were never sent before.
    pub(crate) fresh: BTreeSet<u64>,
}

/// One line of the input, with the key that it is charged under.
pub(crate) struct Charge {
    pub(crate) line: u64,
    pub(crate) phone: String,
    pub(crate) amount: AmountIn,
    pub(crate) key: String,
    pub(crate) reference: Option<String>,
}

/// What became of a batch.
pub(crate) struct Sent {
    pub(crate) events: Vec<Event>,
    /// Why some lines have no answer.
    pub(crate) failure: Option<CliError>,
}

/// Sends a batch until it is answered. Lines that the node finds malformed are refused, and the rest is sent again.
pub(crate) async fn send(client: Client, mut batch: Batch) -> Sent {
    let mut events = Vec::new();
    while !batch.charges.is_empty() {
        let error = match client.charge_batch(&batch.request()).await {
            Ok(answer) => {
                let failure = batch.answered(&answer.value.results, &mut events);
                return Sent { events, failure };
            }
            Err(error) => error,
        };
        if let Error::Refused(problem) = &error
            && batch.take_malformed(problem, &mut events)
        {
            continue;
        }
        match error {
            // An earlier run may have charged what this one did not.
            Error::Refused(_) | Error::NotDone(_) if !batch.fresh.is_empty() => {
                events.push(Event::NotDone { lines: batch.fresh.into_iter().collect() });
            }
            Error::Refused(_) | Error::NotDone(_) | Error::OutcomeUnknown(_) => {}
        }
        return Sent { events, failure: Some(CliError::Call(error)) };
    }
    Sent { events, failure: None }
}

impl Batch {
    fn request(&self) -> BatchRequest<'_> {
        let item = |charge: &'_ Charge| BatchItem {
            phone: charge.phone.clone().into(),
            amount: charge.amount,
            idempotency_key: charge.key.clone().into(),
            reference: charge.reference.clone().map(Into::into),
        };
        BatchRequest { charges: self.charges.iter().map(item).collect() }
    }

    /// What each line was answered: a charge, or a refusal that the ledger remembers. The client has matched them.
    fn answered(&self, results: &[BatchResult], events: &mut Vec<Event>) -> Option<CliError> {
        for (Charge { line, .. }, result) in self.charges.iter().zip(results) {
            let line = *line;
            match (&result.charge, &result.problem) {
                (Some(charge), _) => events.push(Event::Charged {
                    line,
                    id: charge.id,
                    entry: charge.entry,
                    balance: charge.balance,
                    replayed: result.replayed,
                }),
                (None, Some(problem)) => events.push(refused(line, problem.code, &problem.detail)),
                (None, None) => return Some(CliError::Unproven(format!("neither charge nor problem for line {line}"))),
            }
        }
        None
    }

    /// Takes out the lines that a refusal of the whole batch points to; whether there was one.
    fn take_malformed(&mut self, problem: &Problem, events: &mut Vec<Event>) -> bool {
        let mut malformed = BTreeSet::new();
        for error in &problem.errors {
            let Some(index) = pointed_to(&error.pointer) else { continue };
            // Not one that an earlier run may have charged.
            let Some(charge) = self.charges.get(index).filter(|charge| self.fresh.contains(&charge.line)) else {
                continue;
            };
            if malformed.insert(index) {
                events.push(refused(charge.line, problem.code, &error.detail));
            }
        }
        // From the last on, so that those before keep their index.
        for index in malformed.iter().rev() {
            let charge = self.charges.remove(*index);
            self.fresh.remove(&charge.line);
        }
        !malformed.is_empty()
    }
}

fn refused(line: u64, code: Code, detail: &str) -> Event {
    Event::Refused { line, code, detail: detail.to_owned() }
}

/// The item of `/charges/17/phone`.
fn pointed_to(pointer: &str) -> Option<usize> {
    pointer.strip_prefix("/charges/")?.split('/').next()?.parse().ok()
}
