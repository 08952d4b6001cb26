//! Printing: results to stdout, errors, hints and progress to stderr.

pub(crate) mod done;
pub(crate) mod error;
pub(crate) mod hint;
mod numbers;
pub(crate) mod paint;
mod tables;
pub(crate) mod terminal;
pub(crate) mod whole_file;
pub(crate) mod words;

use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::json;

use etebar::api;
use etebar::{Error, IdempotencyKey};

pub(crate) use numbers::{count, grouped, money, rounded};
pub(crate) use tables::{Columns, sheet, table};
pub(crate) use words::{or_dash, waits_for_rate, yes_or_no};

use self::error::{CliError, LINE_CHARS, LINES, WRONG_USAGE};

/// Most bytes of an error in JSON; of a longer one only code, detail and hint are printed, cut.
const ERROR_BYTES: usize = 64 << 10;

/// Where and how to print. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    painted: bool,
}

impl Output {
    /// JSON or texts; these with the colours of [`paint`], or without.
    pub(crate) fn new(json: bool, painted: bool) -> Output {
        Output { json, painted }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    pub(crate) fn is_painted(self) -> bool {
        self.painted
    }

    /// `value` as JSON on one line, or `text` for people.
    pub(crate) fn either(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json { line(&json_text(value)?) } else { self.remark(&text()) }
    }

    /// The answer to a write: `value` as JSON on one line, or `text` for people. A closed pipe is an error here, since
    /// what was done has not been read.
    pub(crate) fn answer(self, value: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        let text = if self.json { serde_json::to_string(value)? } else { paint::shown(&text(), self.painted) };
        put(&format!("{text}\n"))
    }

    /// The end of a write whose answer has no body, for people alone.
    pub(crate) fn end(self, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { put(&format!("{text}\n")) }
    }

    /// A line for people alone.
    pub(crate) fn remark(self, text: &str) -> Result<(), CliError> {
        if self.json { Ok(()) } else { line(&paint::shown(text, self.painted)) }
    }

    /// What is under way, for people alone, on stderr.
    pub(crate) fn progress(self, text: &str) {
        if !self.json {
            error_line(&api::shown_lines(text, LINE_CHARS, LINES));
        }
    }

    /// Whether tables and progress are printed.
    pub(crate) fn is_for_people(self) -> bool {
        !self.json
    }

    /// Why there is no result, and what to do next.
    pub(crate) fn error(self, error: &CliError, hint: Option<&str>) {
        if !self.json {
            error_line(&format!("etebar: {}", error.shown()));
            if let Some(hint) = hint {
                error_line(&format!("hint: {}", api::shown(hint, LINE_CHARS)));
            }
            return;
        }
        let mut value = match error {
            CliError::Call(Error::Refused(problem)) => json!(problem),
            CliError::Call(Error::NotDone(not_done)) => {
                json!({"code": "not_done", "detail": not_done.detail, "attempts": not_done.attempts, "problem": not_done.problem})
            }
            CliError::Call(Error::OutcomeUnknown(unknown)) => json!({
                "code": "outcome_unknown", "detail": unknown.detail, "attempts": unknown.attempts,
                "idempotency_key": unknown.key.as_ref().map(IdempotencyKey::as_str),
            }),
            CliError::Usage(text) => json!({"code": "wrong_usage", "detail": text}),
            CliError::Local(text) => json!({"code": "failed", "detail": text}),
            CliError::Unprinted(_) => json!({"code": "not_printed", "detail": error.to_string()}),
            CliError::Unreported(unreported) => json!({
                "code": "done_not_printed", "detail": error.to_string(), "id": unreported.id(),
                "idempotency_key": unreported.key(),
            }),
            CliError::Unproven(text) => json!({"code": "unproven", "detail": text}),
            CliError::Damaged(text) => json!({"code": "damaged", "detail": text}),
            CliError::Broken(text) => json!({"code": "broken_promise", "detail": text}),
            CliError::Advised { text, hint: _, code } => {
                let name = if *code == WRONG_USAGE { "wrong_usage" } else { "unfinished" };
                json!({"code": name, "detail": text})
            }
        };
        if let Some(hint) = hint {
            value["hint"] = json!(hint);
        }
        error_line(&bounded(value));
    }
}

/// `value` as JSON on one line, harmless on a terminal too.
pub(crate) fn json_text(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::local(format!("not JSON: {error}")))?;
    Ok(api::shown_json(&text).into_owned())
}

/// An error as JSON, harmless on a terminal and bounded: a server may have written it.
fn bounded(mut value: serde_json::Value) -> String {
    let text = value.to_string();
    if text.len() <= ERROR_BYTES {
        return api::shown_json(&text).into_owned();
    }
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| ["code", "status", "detail", "hint", "idempotency_key"].contains(&name.as_str()));
        for field in fields.values_mut() {
            if let Some(text) = field.as_str() {
                *field = json!(api::shown(text, LINE_CHARS));
            }
        }
    }
    api::shown_json(&value.to_string()).into_owned()
}

/// A line on stderr. Where it cannot be printed, the exit code remains.
pub(crate) fn error_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line on stdout. A reader that closed the pipe (`| head`) reads no more; the verb continues, since its exit code may
/// say more.
fn line(text: &str) -> Result<(), CliError> {
    write(&format!("{text}\n")).map(drop)
}

/// Writes what was read to stdout; false where the reader has closed the pipe.
pub(crate) fn write(text: &str) -> Result<bool, CliError> {
    match put(text) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::Unprinted(error.to_string())),
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}
