//! Batches under way: so many at a time, each noted down before it is sent and when it is answered.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use etebar::api::{AmountIn, BatchItem, BatchRequest, BatchResult, Code, Problem};
use etebar::{Client, Error};

use super::input::Input;
use super::progress::Progress;
use super::record::Event;
use super::resume::Resume;
use super::window::Window;
use crate::output::stop::Stop;
use crate::session::Session;

/// Charges in one batch. Source: large enough that a node's sync is shared by many, small enough that an interruption
/// waits for little and leaves little in doubt.
const BATCH: usize = 500;
/// How long an interruption waits for what is under way. Source: several elections.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why no more was sent.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Every line was sent and answered.
    Done,
    /// By a signal.
    Interrupted,
    /// The keys of lines without an answer may be forgotten.
    PastWindow,
    Failed(Stop),
}

/// Sends all open lines, those in doubt first.
pub(crate) async fn drive(
    session: &Session,
    window: &Window,
    resume: &mut Resume,
    input: &Input,
    parallel: u32,
) -> Ending {
    if resume.is_closed() {
        return Ending::PastWindow;
    }
    let progress = Progress::new(session.output, input.lines.len(), resume.answered_count());
    let client = session.client.with_timeout(window.call());
    let run = Run { client, window, resume, input, progress, under_way: JoinSet::new(), ending: None };
    run.all(parallel as usize).await.unwrap_or_else(Ending::Failed)
}

struct Run<'a> {
    client: Client,
    window: &'a Window,
    resume: &'a mut Resume,
    input: &'a Input,
    progress: Progress,
    under_way: JoinSet<Sent>,
    /// Set once: nothing is sent any more.
    ending: Option<Ending>,
}

/// One batch, as it was sent.
struct Batch {
    charges: Vec<Charge>,
    /// Those lines that were never sent before.
    fresh: BTreeSet<u64>,
}

struct Charge {
    line: u64,
    phone: String,
    amount: AmountIn,
    key: String,
}

/// What became of a batch.
struct Sent {
    events: Vec<Event>,
    /// Why some lines have no answer.
    failure: Option<Stop>,
}

impl Run<'_> {
    /// Fails where something cannot be noted down: then what is under way stays in doubt.
    async fn all(mut self, parallel: usize) -> Result<Ending, Stop> {
        let mut signals = Signals::new()?;
        let open = self.resume.open_lines();
        // Apart from new lines: a node without room for new keys refuses a batch whole, and answers what it knows.
        let known = open.partition_point(|index| self.resume.in_doubt_since(&[*index]).is_some());
        let (known, new) = open.split_at(known);
        let mut waiting = known.chunks(BATCH).chain(new.chunks(BATCH));
        loop {
            while self.ending.is_none() && self.under_way.len() < parallel {
                let Some(batch) = waiting.next() else { break };
                self.begin(batch)?;
            }
            let patience = signals.patience();
            tokio::select! {
                joined = self.under_way.join_next() => match joined {
                    Some(sent) => self.settle(sent.map_err(|error| Stop::local(error.to_string()))?)?,
                    None => break,
                },
                () = signals.next() => {
                    if signals.until.is_some() {
                        break;
                    }
                    self.interrupt(&mut signals);
                }
                () = patience => break,
            }
        }
        Ok(self.ending.unwrap_or(Ending::Done))
    }

    /// Notes down that these lines are sent, and sends them.
    fn begin(&mut self, batch: &[usize]) -> Result<(), Stop> {
        let since = self.resume.in_doubt_since(batch);
        if since.is_some_and(|since| !self.window.remembers(since)) {
            self.ending = Some(Ending::PastWindow);
            return self.resume.note(&[Event::Closed { at: self.window.now() }]);
        }
        let is_fresh = |index: &&usize| self.resume.in_doubt_since(&[**index]).is_none();
        let fresh = batch.iter().filter(is_fresh).map(|index| self.input.lines[*index].number).collect();
        let charge = |index: &usize| {
            let line = &self.input.lines[*index];
            let key = self.resume.key(line);
            Charge { line: line.number, phone: line.phone.to_string(), amount: line.amount, key }
        };
        let charges = batch.iter().map(charge).collect();
        let sending = Event::Sending { at: self.window.now(), lines: self.resume.numbers(batch) };
        self.resume.note(&[sending])?;
        self.under_way.spawn(send(self.client.clone(), Batch { charges, fresh }));
        Ok(())
    }

    fn settle(&mut self, sent: Sent) -> Result<(), Stop> {
        self.resume.note(&sent.events)?;
        let charged = sent.events.iter().filter(|event| matches!(event, Event::Charged { .. })).count();
        let refused = sent.events.iter().filter(|event| matches!(event, Event::Refused { .. })).count();
        self.progress.answered(charged + refused, refused);
        if let (Some(failure), None) = (sent.failure, &self.ending) {
            self.ending = Some(Ending::Failed(failure));
        }
        Ok(())
    }

    fn interrupt(&mut self, signals: &mut Signals) {
        self.progress.say("no more is sent; waiting for what is under way (again to wait no longer)");
        self.ending.get_or_insert(Ending::Interrupted);
        signals.until = Some(Instant::now() + PATIENCE);
    }
}

/// Sends a batch until it is answered. Lines that the node finds malformed are refused, and the rest is sent again.
async fn send(client: Client, mut batch: Batch) -> Sent {
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
        return Sent { events, failure: Some(Stop::Call(error)) };
    }
    Sent { events, failure: None }
}

impl Batch {
    fn request(&self) -> BatchRequest<'_> {
        let item = |charge: &'_ Charge| BatchItem {
            phone: charge.phone.clone().into(),
            amount: charge.amount,
            idempotency_key: charge.key.clone().into(),
        };
        BatchRequest { charges: self.charges.iter().map(item).collect() }
    }

    /// What each line was answered: a charge, or a refusal that the ledger remembers. The client has matched them.
    fn answered(&self, results: &[BatchResult], events: &mut Vec<Event>) -> Option<Stop> {
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
                (None, None) => return Some(Stop::Unproven(format!("neither charge nor problem for line {line}"))),
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
        // From the last on, so that what is before keeps its place.
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

/// What interrupts: Ctrl-C, or to be told to end; then the end of patience.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    until: Option<Instant>,
}

impl Signals {
    fn new() -> Result<Signals, Stop> {
        let listen = |kind| signal(kind).map_err(|error| Stop::local(format!("no signals: {error}")));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            until: None,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }

    fn patience(&self) -> impl Future<Output = ()> + use<> {
        let until = self.until;
        async move {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        }
    }
}
