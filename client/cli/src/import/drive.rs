//! Batches under way: so many at a time, each recorded in the resume file before it is sent and when it is answered. Where the
//! nodes limit the rate of the API key, the lines that they did not take wait as long as they ask.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use etebar::{Client, Stopwatch};

use super::batch::{Batch, Charge, Sent, send};
use super::files::input::Input;
use super::files::record::Event;
use super::files::resume::Resume;
use super::progress::ImportBar;
use super::signals::Signals;
use super::window::Window;
use crate::output::error::CliError;
use crate::session::Session;

/// Charges in one batch. Source: large enough that a node's sync is shared by many, small enough that an interruption
/// waits for little and leaves little in doubt.
const BATCH: usize = 500;
/// How long an interruption waits for the batches under way. Source: several elections.
const INTERRUPT_WAIT: Duration = Duration::from_secs(10);
/// How long the nodes may limit the rate without a single answer in between. Source: twice what one of them may ask for.
const LIMITED_MAX: Duration = Duration::from_hours(48);

/// Why no more was sent.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Every line was sent and answered.
    Done,
    /// By a signal.
    Interrupted,
    /// The keys of lines without an answer may be forgotten.
    PastWindow,
    Failed(CliError),
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
    let progress = ImportBar::new(session.output, input.lines.len(), resume.answered_count());
    let client = session.client.with_timeout(window.call());
    let open = resume.open_lines();
    // Apart from new lines: a node whose key table is full refuses a batch with a new key whole, and answers known keys.
    let known = open.partition_point(|index| resume.in_doubt_since(&[*index]).is_some());
    let (known, new) = open.split_at(known);
    let waiting = known.chunks(BATCH).chain(new.chunks(BATCH)).map(<[usize]>::to_vec).collect();
    let run = Run {
        client,
        window,
        resume,
        input,
        progress,
        waiting,
        under_way: JoinSet::new(),
        hold: None,
        limited_since: None,
        ending: None,
    };
    run.all(parallel as usize).await.unwrap_or_else(Ending::Failed)
}

struct Run<'a> {
    client: Client,
    window: &'a Window,
    resume: &'a mut Resume,
    input: &'a Input,
    progress: ImportBar,
    /// Lines that are to be sent, as batches.
    waiting: VecDeque<Vec<usize>>,
    under_way: JoinSet<(Vec<usize>, Sent)>,
    /// Until then the nodes take no more of this API key.
    hold: Option<Instant>,
    /// Since when no line was answered because of that.
    limited_since: Option<Stopwatch>,
    /// Set once: nothing is sent any more.
    ending: Option<Ending>,
}

impl Run<'_> {
    /// Fails where something cannot be recorded: then the lines under way stay in doubt.
    async fn all(mut self, parallel: usize) -> Result<Ending, CliError> {
        let mut signals = Signals::new()?;
        loop {
            while self.ending.is_none() && self.hold.is_none() && self.under_way.len() < parallel {
                let Some(batch) = self.waiting.pop_front() else { break };
                self.start(batch)?;
            }
            let is_over = self.ending.is_some() || self.waiting.is_empty();
            if is_over && self.under_way.is_empty() {
                break;
            }
            let timeout = signals.timeout();
            tokio::select! {
                Some(joined) = self.under_way.join_next() => {
                    let (batch, sent) = joined.map_err(|error| CliError::local(error.to_string()))?;
                    self.settle(batch, sent)?;
                }
                () = until(self.hold) => self.hold = None,
                () = signals.next() => {
                    if signals.deadline.is_some() {
                        break;
                    }
                    self.interrupt(&mut signals);
                }
                () = timeout => break,
            }
        }
        Ok(self.ending.unwrap_or(Ending::Done))
    }

    /// Records that these lines are sent, and sends them.
    fn start(&mut self, batch: Vec<usize>) -> Result<(), CliError> {
        if !self.may_send(&batch, Duration::ZERO) {
            self.ending = Some(Ending::PastWindow);
            return self.resume.record(&[Event::Closed { at: self.window.now() }]);
        }
        let is_fresh = |index: &&usize| self.resume.in_doubt_since(&[**index]).is_none();
        let fresh = batch.iter().filter(is_fresh).map(|index| self.input.lines[*index].number).collect();
        let charge = |index: &usize| {
            let line = &self.input.lines[*index];
            let key = self.resume.key(line);
            let (phone, reference) = (line.phone.to_string(), line.reference.clone());
            Charge { line: line.number, phone, amount: line.amount, key, reference }
        };
        let charges = batch.iter().map(charge).collect();
        let sending = Event::Sending { sent_at: self.window.sent_now(), lines: self.resume.numbers(&batch) };
        self.resume.record(&[sending])?;
        let sent = send(self.client.clone(), Batch { charges, fresh });
        self.under_way.spawn(async move { (batch, sent.await) });
        Ok(())
    }

    /// Whether the keys of all these lines are certainly remembered where they are sent after this wait.
    fn may_send(&self, batch: &[usize], wait: Duration) -> bool {
        self.resume.in_doubt_since(batch).is_none_or(|since| self.window.remembers(since, wait))
    }

    fn settle(&mut self, mut batch: Vec<usize>, sent: Sent) -> Result<(), CliError> {
        self.resume.record(&sent.events)?;
        let charged = sent.events.iter().filter(|event| matches!(event, Event::Charged { .. })).count();
        let refused = sent.events.iter().filter(|event| matches!(event, Event::Refused { .. })).count();
        if charged + refused > 0 {
            self.progress.answered(charged + refused, refused);
            self.limited_since = None;
        }
        if let (Some(failure), None) = (sent.failure, &self.ending) {
            batch.retain(|index| !self.resume.known()[*index].is_answered());
            match asked_wait(&failure).filter(|wait| self.may_wait(&batch, *wait)) {
                Some(wait) => self.wait(batch, wait),
                None => self.ending = Some(Ending::Failed(failure)),
            }
        }
        Ok(())
    }

    /// Whether these lines, and those that are to be sent after them, may wait for so long: not past the end of the window of
    /// one that may have been charged.
    fn may_wait(&mut self, batch: &[usize], wait: Duration) -> bool {
        let since = self.limited_since.get_or_insert_with(Stopwatch::start);
        let open: Vec<usize> = batch.iter().chain(self.waiting.iter().flatten()).copied().collect();
        since.left_of(LIMITED_MAX) > wait && self.may_send(&open, wait)
    }

    /// Sends nothing for so long, and then these lines first.
    fn wait(&mut self, batch: Vec<usize>, wait: Duration) {
        self.waiting.push_front(batch);
        let until = Instant::now() + wait;
        if self.hold.is_none_or(|hold| hold < until) {
            self.hold = Some(until);
            self.progress.waits(wait);
        }
    }

    fn interrupt(&mut self, signals: &mut Signals) {
        self.progress.say("no more is sent; waiting for what is under way (again to wait no longer)");
        self.ending.get_or_insert(Ending::Interrupted);
        signals.deadline = Some(Instant::now() + INTERRUPT_WAIT);
    }
}

/// How long the nodes ask to wait, where all that failed is that they limit the rate.
fn asked_wait(failure: &CliError) -> Option<Duration> {
    if let CliError::Call(error) = failure { error.retry_after() } else { None }
}

/// Ends then, or never.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
