//! The progress of an import, for people: a bar where stderr is a terminal, a line every few seconds where it is not.
//!
//! Without colours, so that `NO_COLOR` holds by itself.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::output::{Output, count, waits_for_rate};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(5);

pub(crate) struct ImportBar {
    output: Output,
    bar: Option<ProgressBar>,
    last_shown: Instant,
    lines: u64,
    answered: u64,
    refused: u64,
}

impl ImportBar {
    /// Of `lines`, so many were answered before.
    pub(crate) fn new(output: Output, lines: usize, answered: usize) -> ImportBar {
        let (lines, answered) = (lines as u64, answered as u64);
        let bar = (output.is_for_people() && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(lines), ProgressDrawTarget::stderr());
            let style = "{bar:30} {human_pos} of {human_len} lines, {eta} left{msg}";
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.with_position(answered)
        });
        if let Some(bar) = &bar {
            // Lines answered by earlier runs say nothing about the present rate.
            bar.reset_eta();
        }
        ImportBar { output, bar, last_shown: Instant::now(), lines, answered, refused: 0 }
    }

    /// So many more were answered, of which some were refused.
    pub(crate) fn answered(&mut self, lines: usize, refused: usize) {
        self.answered += lines as u64;
        self.refused += refused as u64;
        let refusals = self.refusals();
        if let Some(bar) = &self.bar {
            bar.set_message(refusals);
            bar.set_position(self.answered);
        } else if self.last_shown.elapsed() >= EVERY {
            self.last_shown = Instant::now();
            let text = format!("{} of {} lines{refusals}", count(self.answered), count(self.lines));
            self.output.progress(&text);
        }
    }

    fn refusals(&self) -> String {
        if self.refused == 0 { String::new() } else { format!(", {} refused", count(self.refused)) }
    }

    /// Nothing is sent for so long, since the nodes limit the rate.
    pub(crate) fn waits(&self, wait: Duration) {
        let text = waits_for_rate(wait);
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}, {text}", self.refusals())),
            None => self.output.progress(&text),
        }
    }

    /// A line beside the bar.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.progress(text)),
            None => self.output.progress(text),
        }
    }
}

impl Drop for ImportBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
