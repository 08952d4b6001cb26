//! How far a check of the journal has come, for people: a bar where stderr is a terminal, a line every few seconds where not.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::output::{Output, count};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(5);
/// Entries between two looks at the clock.
const LOOK: u64 = 1_024;

/// See the head of this file.
pub(crate) struct InspectionBar {
    output: Output,
    bar: Option<ProgressBar>,
    last_shown: Instant,
    first: u64,
    last: u64,
}

impl InspectionBar {
    /// Of the entries after `first`.
    pub(crate) fn after(first: u64, output: Output) -> InspectionBar {
        let bar = (output.is_for_people() && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = "{bar:30} {human_pos} of {human_len} entries, {eta} left";
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        InspectionBar { output, bar, last_shown: Instant::now(), first, last: first }
    }

    /// It goes up to this entry, for now.
    pub(crate) fn goes_to(&mut self, last: u64) {
        self.last = self.last.max(last);
        if let Some(bar) = &self.bar {
            bar.set_length(self.last.saturating_sub(self.first));
        }
    }

    /// This entry was checked.
    pub(crate) fn at(&mut self, entry: u64) {
        if !entry.is_multiple_of(LOOK) {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_position(entry.saturating_sub(self.first));
        } else if self.last_shown.elapsed() >= EVERY {
            self.last_shown = Instant::now();
            self.output.progress(&format!("entry {} of {} checked", count(entry), count(self.last)));
        }
    }
}

impl Drop for InspectionBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
