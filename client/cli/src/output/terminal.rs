//! An interactive terminal: keys one at a time, and its state restored however the verb ends.
//!
//! Invariant: a [`Terminal`] that is dropped, by a panic too, leaves line input, echo, cursor and screen as they were.

use std::io::{IsTerminal, Write};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::{cursor, execute, queue, style, terminal};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use etebar::api;

use super::error::CliError;
use super::paint::{self, is_dumb};

/// Columns and rows where the terminal does not report its size. Source: the VT100.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Where a verb writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// Below what is there: it stays readable afterwards.
    Lines,
    /// A screen of its own, gone afterwards.
    Whole,
}

/// What was typed, or happened to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Key(KeyCode),
    /// Ctrl-C.
    Interrupt,
    Resized,
    /// The terminal is gone, or a signal asks to end.
    Hangup,
}

#[derive(Debug)]
pub(crate) struct Terminal {
    events: mpsc::UnboundedReceiver<Event>,
    terminated: Signal,
    hung_up: Signal,
    screen: Screen,
    painted: bool,
}

/// Whether stdin and stdout are a terminal that can do more than print.
pub(crate) fn is_there() -> bool {
    !is_dumb() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

impl Terminal {
    pub(crate) fn open(screen: Screen, painted: bool) -> Result<Terminal, CliError> {
        let no_signals = |error| CliError::local(format!("no signals: {error}"));
        let terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
        let hung_up = signal(SignalKind::hangup()).map_err(no_signals)?;
        let (sender, events) = mpsc::unbounded_channel();
        terminal::enable_raw_mode().map_err(failed)?;
        // From here on dropping it gives the terminal back.
        let opened = Terminal { events, terminated, hung_up, screen, painted };
        if screen == Screen::Whole {
            execute!(std::io::stdout(), terminal::EnterAlternateScreen, cursor::Hide).map_err(failed)?;
        }
        // It waits for keys until the process ends: there is no way to wake it, and nothing that it would leave behind.
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(opened)
    }

    /// The next input.
    pub(crate) async fn input(&mut self) -> Input {
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                _ = self.terminated.recv() => return Input::Hangup,
                _ = self.hung_up.recv() => return Input::Hangup,
            };
            match event {
                Some(Event::Key(key)) if key.kind == KeyEventKind::Release => {}
                Some(Event::Key(key)) if is_interrupt(key) => return Input::Interrupt,
                Some(Event::Key(key)) if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {}
                Some(Event::Key(key)) => return Input::Key(key.code),
                Some(Event::Resize(..)) => return Input::Resized,
                Some(_) => {}
                None => return Input::Hangup,
            }
        }
    }

    /// Waits for `work`. Keys that are pressed meanwhile answered an earlier question, and are dropped.
    pub(crate) async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, CliError> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                input = self.input() => match input {
                    Input::Interrupt | Input::Hangup => return Err(CliError::local("interrupted")),
                    Input::Key(_) | Input::Resized => {}
                },
            }
        }
    }

    /// Writes lines below what is there.
    pub(crate) fn say(&self, text: &str) -> Result<(), CliError> {
        self.put(&format!("{text}\n"))
    }

    /// Writes a question; the cursor stays behind it.
    pub(crate) fn ask(&self, text: &str) -> Result<(), CliError> {
        self.put(text)
    }

    /// Reads a line, with its question before it; `None` where Esc or Ctrl-C took it back.
    pub(crate) async fn line(&mut self, question: &str) -> Result<Option<String>, CliError> {
        let mut text = String::new();
        loop {
            Self::redraw(question, &text)?;
            match self.input().await {
                Input::Key(KeyCode::Char(char)) => text.push(char),
                Input::Key(KeyCode::Backspace) => drop(text.pop()),
                Input::Key(KeyCode::Enter) => {
                    self.say("")?;
                    return Ok(Some(text.trim().to_owned()));
                }
                Input::Key(KeyCode::Esc) | Input::Interrupt => {
                    self.say("")?;
                    return Ok(None);
                }
                Input::Hangup => return Err(CliError::local("interrupted")),
                Input::Key(_) | Input::Resized => {}
            }
        }
    }

    /// One line with the end of `text`, as much of it as fits.
    fn redraw(question: &str, text: &str) -> Result<(), CliError> {
        let cell = |text: &str| paint::Cell::from(text).width();
        let room = usize::from(size().0).saturating_sub(cell(question) + 1);
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let from = starts.into_iter().find(|at| cell(&text[*at..]) <= room).unwrap_or(text.len());
        let mut out = std::io::stdout().lock();
        let typed = api::shown(&text[from..], usize::MAX);
        let shown = format!("{question}{typed}");
        queue!(out, cursor::MoveToColumn(0), terminal::Clear(terminal::ClearType::CurrentLine), style::Print(shown))
            .and_then(|()| out.flush())
            .map_err(failed)
    }

    /// Shows these lines and nothing else, each as far as it fits.
    pub(crate) fn show(&self, lines: &[String]) -> Result<(), CliError> {
        let (width, height) = size();
        let mut out = std::io::stdout().lock();
        let mut draw = || {
            for (row, line) in lines.iter().take(usize::from(height)).enumerate() {
                let line = paint::shown(&paint::cut(line, usize::from(width)), self.painted);
                let row = u16::try_from(row).unwrap_or(height);
                // Cleared first: after a line that ends at the last column, clearing would take its last character.
                queue!(out, cursor::MoveTo(0, row), terminal::Clear(terminal::ClearType::UntilNewLine))?;
                queue!(out, style::Print(line))?;
            }
            let drawn = u16::try_from(lines.len()).unwrap_or(height);
            if drawn < height {
                queue!(out, cursor::MoveTo(0, drawn), terminal::Clear(terminal::ClearType::FromCursorDown))?;
            }
            out.flush()
        };
        draw().map_err(failed)
    }

    fn put(&self, text: &str) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        // Without line input a line feed alone stays in its column.
        let text = paint::shown(text, self.painted).replace('\n', "\r\n");
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        if self.screen == Screen::Whole {
            let _ = execute!(std::io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
        }
        let _ = terminal::disable_raw_mode();
    }
}

fn is_interrupt(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c')
}

/// Columns and rows.
fn size() -> (u16, u16) {
    match terminal::size() {
        Ok((width, height)) if width > 0 && height > 0 => (width, height),
        Ok(_) | Err(_) => USUAL_SIZE,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn failed(error: std::io::Error) -> CliError {
    CliError::local(format!("terminal: {error}"))
}
