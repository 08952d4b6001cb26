//! `etebar watch`: the members, again and again. A live table on a terminal, a line a look elsewhere, JSON with `--json`.
//!
//! Every look asks all members at once and waits for less than the interval, so that a dead one delays nothing.

mod look;
mod sight;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::arguments::{Global, Watch};
use super::output;
use crate::output::paint;
use crate::output::stop::Stop;
use crate::output::terminal::{self, Input, Screen, Terminal};
use crate::session::Session;
use crossterm::event::KeyCode;
use look::Lookout;
use sight::Sight;

pub(crate) async fn run(session: &Session, global: &Global, watch: Watch) -> Result<(), Stop> {
    let lookout = Lookout::new(&session.client, &global.server, watch.interval)?;
    let mut timer = interval(watch.interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tour = Tour { lookout, timer, left: watch.count.unwrap_or(u64::MAX), answered: false, differing: None };
    if terminal::is_there() && !session.output.is_json() {
        let mut terminal = Terminal::open(Screen::Whole, session.output.is_painted())?;
        let toured = tour.live(&mut terminal, watch).await;
        drop(terminal);
        toured?;
    } else {
        // A difference between members weighs more than where it could not be printed.
        if let Err(stop) = tour.lines(session).await {
            return match stop {
                Stop::Unprinted(_) => tour.verdict().and(Err(stop)),
                other => Err(other),
            };
        }
    }
    tour.verdict()
}

/// A series of looks.
struct Tour {
    lookout: Lookout,
    timer: Interval,
    /// Looks to come.
    left: u64,
    /// Some node answered at some look.
    answered: bool,
    /// The first difference that was seen between two members' digests.
    differing: Option<String>,
}

impl Tour {
    /// The next look; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Sight>, Stop> {
        if self.left == 0 {
            return Ok(None);
        }
        self.timer.tick().await;
        let sight = self.lookout.look(Instant::now()).await?;
        self.left -= 1;
        self.answered |= sight.answering() > 0;
        if self.differing.is_none() {
            self.differing = sight.difference();
        }
        Ok(Some(sight))
    }

    async fn lines(&mut self, session: &Session) -> Result<(), Stop> {
        while let Some(sight) = self.next().await? {
            let text = match session.output.is_json() {
                true => output::json_text(&sight)?,
                false => paint::shown(&sight.line(), session.output.is_painted()),
            };
            if !output::write(&format!("{text}\n"))? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn live(&mut self, terminal: &mut Terminal, watch: Watch) -> Result<(), Stop> {
        let mut lines = vec!["looking …".to_owned()];
        loop {
            terminal.show(&lines)?;
            tokio::select! {
                sight = self.next() => match sight? {
                    Some(sight) => lines = sight.lines(watch.interval),
                    None => return Ok(()),
                },
                input = terminal.input() => match input {
                    Input::Interrupt | Input::Key(KeyCode::Char('q' | 'Q') | KeyCode::Esc) => return Ok(()),
                    Input::Hangup => return Err(Stop::local("interrupted")),
                    Input::Key(_) | Input::Resized => {}
                },
            }
        }
    }

    /// How the verb ends: a difference that was seen is a broken promise, also where it is gone since.
    fn verdict(self) -> Result<(), Stop> {
        match self.differing {
            Some(difference) => Err(Stop::Broken(difference)),
            None if !self.answered => Err(Stop::Unproven("no node answered".to_owned())),
            None => Ok(()),
        }
    }
}
