//! `etebar watch`: polls all nodes. A live table on a terminal, a line for each poll elsewhere, JSON with `--json`.
//!
//! Every poll asks all nodes at once and waits for less than the interval, so that an unreachable one delays nothing.

mod poll;
mod snapshot;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::arguments::{Global, Watch};
use crate::output;
use crate::output::error::CliError;
use crate::output::paint;
use crate::output::terminal::{self, Input, Screen, Terminal};
use crate::session::Session;
use crossterm::event::KeyCode;
use poll::Poller;
use snapshot::Snapshot;

pub(crate) async fn run(session: &Session, global: &Global, watch: Watch) -> Result<(), CliError> {
    let poller = Poller::new(&session.client, &global.server, watch.interval)?;
    let mut timer = interval(watch.interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watcher =
        Watcher { poller, timer, left: watch.count.unwrap_or(u64::MAX), answered: false, differing: None };
    if terminal::is_there() && !session.output.is_json() {
        let mut terminal = Terminal::open(Screen::Whole, session.output.is_painted())?;
        let watched = watcher.live(&mut terminal, watch).await;
        drop(terminal);
        watched?;
    } else {
        // A difference between nodes is reported even where it could not be printed.
        if let Err(error) = watcher.lines(session).await {
            return match error {
                CliError::Unprinted(_) => watcher.verdict().and(Err(error)),
                other => Err(other),
            };
        }
    }
    watcher.verdict()
}

/// A series of polls.
struct Watcher {
    poller: Poller,
    timer: Interval,
    /// Polls to come.
    left: u64,
    /// Whether any node has answered any poll.
    answered: bool,
    /// The first difference that was found between two nodes' digests.
    differing: Option<String>,
}

impl Watcher {
    /// The next poll; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Snapshot>, CliError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.timer.tick().await;
        let snapshot = self.poller.poll(Instant::now()).await?;
        self.left -= 1;
        self.answered |= snapshot.answering() > 0;
        if self.differing.is_none() {
            self.differing = snapshot.difference();
        }
        Ok(Some(snapshot))
    }

    async fn lines(&mut self, session: &Session) -> Result<(), CliError> {
        while let Some(snapshot) = self.next().await? {
            let text = if session.output.is_json() {
                output::json_text(&snapshot)?
            } else {
                paint::shown(&snapshot.line(), session.output.is_painted())
            };
            if !output::write(&format!("{text}\n"))? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn live(&mut self, terminal: &mut Terminal, watch: Watch) -> Result<(), CliError> {
        let mut lines = vec!["asking all nodes …".to_owned()];
        loop {
            terminal.show(&lines)?;
            tokio::select! {
                snapshot = self.next() => match snapshot? {
                    Some(snapshot) => lines = snapshot.lines(watch.interval),
                    None => return Ok(()),
                },
                input = terminal.input() => match input {
                    Input::Interrupt | Input::Key(KeyCode::Char('q' | 'Q') | KeyCode::Esc) => return Ok(()),
                    Input::Hangup => return Err(CliError::local("interrupted")),
                    Input::Key(_) | Input::Resized => {}
                },
            }
        }
    }

    /// How the verb ends: a difference that was found is a broken promise, even where it is gone since.
    fn verdict(self) -> Result<(), CliError> {
        match self.differing {
            Some(difference) => Err(CliError::Broken(difference)),
            None if !self.answered => Err(CliError::Unproven("no node answered".to_owned())),
            None => Ok(()),
        }
    }
}
