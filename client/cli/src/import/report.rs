//! The summary at the end: how many lines became what, where the result is, and how to continue.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use etebar::api::{AmountOut, Code, Timestamp};
use etebar::duration_text;

use super::drive::Ending;
use super::files::input::Input;
use super::files::paths::{self, Paths};
use super::files::record::LineState;
use super::files::result;
use super::files::resume::Resume;
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::hint;
use crate::output::{count, grouped, sheet};
use crate::session::Session;

/// Most lines that are named one by one.
const LINES_NAMED: usize = 10;

/// The summary of an import.
pub(crate) struct ImportReport<'a> {
    input: &'a Input,
    resume: &'a Resume,
    tally: ImportCounts,
}

/// What `charges import --json` prints, but for the files.
#[derive(Debug, Default, Serialize)]
struct ImportCounts {
    lines: u64,
    charged: u64,
    /// Of those charged: how many the cluster had charged before this program got the answer.
    replayed: u64,
    refused: u64,
    /// By code.
    refusals: BTreeMap<&'static str, u64>,
    unknown: u64,
    not_sent: u64,
    /// Of all lines: how many were answered in this run.
    answered_now: u64,
}

#[derive(Serialize)]
struct ShownReport<'a> {
    #[serde(flatten)]
    tally: &'a ImportCounts,
    amount_charged: AmountOut,
    result_file: String,
    /// Lines to import again as a file of their own.
    again_file: Option<String>,
    resume_file: String,
}

impl<'a> ImportReport<'a> {
    pub(crate) fn new(input: &'a Input, resume: &'a Resume, answered_now: usize) -> ImportReport<'a> {
        let lines = input.lines.len() as u64;
        let mut tally = ImportCounts { lines, answered_now: answered_now as u64, ..ImportCounts::default() };
        resume.known().iter().for_each(|known| tally.count(known));
        ImportReport { input, resume, tally }
    }

    /// Writes the files, prints the summary, and says how to continue where not all was charged.
    pub(crate) fn finish(self, session: &Session, paths: &Paths, ending: Ending) -> Result<(), CliError> {
        let written = result::write(paths, self.input, self.resume)
            .and_then(|()| result::write_again(paths, self.input, self.resume));
        let again = written.map_err(|error| self.unreported(paths, &error))? > 0;
        let shown = ShownReport {
            tally: &self.tally,
            amount_charged: self.amount_charged(),
            result_file: paths.result.display().to_string(),
            again_file: again.then(|| paths.again.display().to_string()),
            resume_file: paths.resume.display().to_string(),
        };
        session.output.answer(&shown, || shown.sheet()).map_err(|error| self.unreported(paths, &error))?;
        match ending {
            Ending::Done if self.resume.is_complete() => self.refusals(&shown),
            Ending::Done => Err(self.unfinished("some lines are open", "", 3)),
            Ending::Interrupted => Err(self.unfinished("interrupted", "", self.code(1))),
            Ending::Failed(error) => {
                let first = hint::of(&error).map_or(String::new(), |hint| format!("{hint}; then: "));
                Err(self.unfinished(&error.shown(), &first, self.code(error.exit_code())))
            }
            Ending::PastWindow => Err(self.past_window(paths, &shown)),
        }
    }

    /// The end of an import whose result cannot be written or printed.
    fn unreported(&self, paths: &Paths, why: &impl ToString) -> CliError {
        let ImportCounts { charged, unknown, .. } = self.tally;
        let what = format!("{} lines are charged and {} unknown", count(charged), count(unknown));
        let hint = format!(
            "{} has each line's key and charge: keep it. The same command shows all of it again, and charges no line twice",
            paths.resume.display()
        );
        Done::new(what).hint(hint).unreported(why).into()
    }

    fn amount_charged(&self) -> AmountOut {
        let decimals = self.resume.header.decimals;
        let charged = |known: &LineState| matches!(known, LineState::Charged { .. });
        let lines = self.input.lines.iter().zip(self.resume.known()).filter(|(_, known)| charged(known));
        AmountOut::new(lines.map(|(line, _)| i128::from(line.minor(decimals))).sum::<i128>(), decimals)
    }

    /// Unknown outcomes weigh more than why it ended.
    fn code(&self, otherwise: u8) -> u8 {
        if self.tally.unknown > 0 { 3 } else { otherwise }
    }

    fn refusals(&self, shown: &ShownReport<'_>) -> Result<(), CliError> {
        if self.tally.refused == 0 {
            return Ok(());
        }
        let text = format!("{} of {} lines were refused", count(self.tally.refused), count(self.tally.lines));
        let credit = self
            .tally
            .refusals
            .get(Code::InsufficientCredit.as_str())
            .map_or("", |_| " (`etebar credit-requests create AMOUNT` asks for credit)");
        let again = shown.again_file.as_ref().map_or(String::new(), |file| {
            let file = hint::quoted(file);
            format!(
                "their keys stay refused. Once the cause is fixed{credit}, try them under new keys: etebar charges \
                 import {file}"
            )
        });
        let reused = self.tally.refusals.get(Code::IdempotencyKeyReused.as_str()).map_or("", |_| {
            "; a key that is used for something else is for you to look at: etebar charges list --idempotency-key KEY"
        });
        Err(CliError::Advised { text, hint: format!("{again}{reused}").trim_start_matches("; ").to_owned(), code: 1 })
    }

    fn unfinished(&self, why: &str, first: &str, code: u8) -> CliError {
        let open = self.tally.unknown + self.tally.not_sent;
        let text = format!(
            "{why}\n{} of {} lines are not answered: {} unknown, {} not sent",
            count(open),
            count(self.tally.lines),
            count(self.tally.unknown),
            count(self.tally.not_sent)
        );
        let window = match (self.tally.unknown, self.resume.header.key_window_seconds) {
            (0, _) | (_, None) => String::new(),
            (_, Some(seconds)) => {
                format!(
                    " (within {}, while the cluster remembers their keys)",
                    duration_text(Duration::from_secs(seconds))
                )
            }
        };
        let hint = format!("{first}the same command continues from here{window}; no line is charged twice");
        CliError::Advised { text, hint, code }
    }

    fn past_window(&self, paths: &Paths, shown: &ShownReport<'_>) -> CliError {
        let doubtful = |(known, _): &(&LineState, &u64)| matches!(known, LineState::InDoubt(_));
        let every: Vec<usize> = (0..self.input.lines.len()).collect();
        let numbers = self.resume.numbers(&every);
        let open = self.resume.known().iter().zip(&numbers).filter(doubtful).map(|(_, number)| number.to_string());
        let mut named: Vec<String> = open.take(LINES_NAMED + 1).collect();
        if named.len() > LINES_NAMED {
            "…".clone_into(&mut named[LINES_NAMED]);
        }
        let window = match self.resume.header.key_window_seconds {
            Some(seconds) => {
                format!("the cluster remembers keys for {}", duration_text(Duration::from_secs(seconds)))
            }
            None => "the cluster does not say how long it remembers keys".to_owned(),
        };
        let since = self.resume.in_doubt_since(&every).map_or(self.resume.header.begun_at, |since| since.at);
        let text = format!(
            "nothing more is sent: {} lines were sent from {since} on without an answer, and {window}: sent again they \
             might be charged twice\nlines {}; they are `unknown` in {}",
            count(self.tally.unknown),
            named.join(", "),
            paths::shown(&paths.result)
        );
        let again = shown.again_file.as_ref().map_or(String::new(), |file| {
            format!(
                ". The other lines without a charge certainly moved nothing: etebar charges import {}",
                hint::quoted(file)
            )
        });
        // Nodes' clocks differ a little, and a charge is stamped by the leader's.
        let from = Timestamp(self.resume.header.begun_at.0.saturating_sub(60_000));
        let hint = format!(
            "look at each: `etebar charges list --phone PHONE --from {from}` shows whether it was charged; those that \
             were not go into a file of another name, for a new import{again}"
        );
        CliError::Advised { text, hint, code: self.code(1) }
    }
}

impl ImportCounts {
    fn count(&mut self, known: &LineState) {
        match known {
            LineState::NotSent => self.not_sent += 1,
            LineState::InDoubt(_) => self.unknown += 1,
            LineState::Charged { id: _, entry: _, balance: _, replayed } => {
                self.charged += 1;
                self.replayed += u64::from(*replayed);
            }
            LineState::Refused { code, detail: _ } => {
                self.refused += 1;
                *self.refusals.entry(code.as_str()).or_default() += 1;
            }
        }
    }
}

impl ShownReport<'_> {
    fn sheet(&self) -> String {
        let tally = self.tally;
        let mut pairs = vec![("lines", count(tally.lines)), ("charged", count(tally.charged))];
        if tally.replayed > 0 {
            pairs.push(("of them replayed", count(tally.replayed)));
        }
        pairs.push(("refused", count(tally.refused)));
        pairs.extend(tally.refusals.iter().map(|(code, lines)| (*code, count(*lines))));
        if tally.unknown + tally.not_sent > 0 {
            pairs.extend([("unknown", count(tally.unknown)), ("not sent", count(tally.not_sent))]);
        }
        pairs.extend([
            ("answered now", count(tally.answered_now)),
            ("amount charged", grouped(self.amount_charged)),
            ("result", self.result_file.clone()),
        ]);
        if let Some(file) = &self.again_file {
            pairs.push(("to import again", file.clone()));
        }
        sheet(&pairs)
    }
}
