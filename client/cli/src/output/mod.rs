//! Printing: results to stdout, errors, hints and progress to stderr.

pub(crate) mod done;
pub(crate) mod error;
pub(crate) mod hint;
pub(crate) mod paint;
pub(crate) mod terminal;
pub(crate) mod whole_file;
pub(crate) mod words;

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use etebar::api::{self, AmountOut};
use etebar::{Error, IdempotencyKey, duration_text};

use self::error::{CliError, LINE_CHARS, LINES, WRONG_USAGE};
use self::paint::{Cell, Tone};

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
            complain(&api::shown_lines(text, LINE_CHARS, LINES));
        }
    }

    /// Whether tables and progress are printed.
    pub(crate) fn is_for_people(self) -> bool {
        !self.json
    }

    /// Why there is no result, and what to do next.
    pub(crate) fn error(self, error: &CliError, hint: Option<&str>) {
        if !self.json {
            complain(&format!("etebar: {}", error.shown()));
            if let Some(hint) = hint {
                complain(&format!("hint: {}", api::shown(hint, LINE_CHARS)));
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
            CliError::Broken(text) => json!({"code": "broken_promise", "detail": text}),
            CliError::Advised { text, hint: _, code } => {
                let name = if *code == WRONG_USAGE { "wrong_usage" } else { "unfinished" };
                json!({"code": name, "detail": text})
            }
        };
        if let Some(hint) = hint {
            value["hint"] = json!(hint);
        }
        complain(&bounded(value));
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
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line on stdout. A reader that went away (`| head`) has all that it wanted; the verb goes on, since its exit code may
/// say more.
fn line(text: &str) -> Result<(), CliError> {
    write(&format!("{text}\n")).map(drop)
}

/// Writes what was read to stdout; false where nobody reads it any more.
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

/// Rows under a head; each column as wide as its widest cell. Columns named with a leading `>` are flush right.
pub(crate) fn table<C: Clone + Into<Cell>>(head: &[&str], rows: &[Vec<C>]) -> String {
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().cloned().map(Into::into).collect()).collect();
    let mut columns = Columns::new(head);
    columns.widen(&rows);
    let lines = std::iter::once(columns.head()).chain(rows.iter().map(|row| columns.row(row)));
    lines.collect::<Vec<_>>().join("\n")
}

/// The columns of a table whose rows come piece by piece.
#[derive(Debug)]
pub(crate) struct Columns {
    head: Vec<Cell>,
    right: Vec<bool>,
    widths: Vec<usize>,
}

impl Columns {
    pub(crate) fn new(head: &[&str]) -> Columns {
        let cells: Vec<Cell> = head.iter().map(|name| Cell::new(name.trim_start_matches('>'), Tone::Head)).collect();
        let widths = cells.iter().map(Cell::width).collect();
        Columns { head: cells, right: head.iter().map(|name| name.starts_with('>')).collect(), widths }
    }

    /// Makes room for these rows too; no column ever shrinks.
    pub(crate) fn widen(&mut self, rows: &[Vec<Cell>]) {
        for row in rows {
            self.widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.width().max(*width));
        }
    }

    pub(crate) fn head(&self) -> String {
        self.row(&self.head)
    }

    pub(crate) fn row(&self, cells: &[Cell]) -> String {
        let (mut line, mut gap) = (String::new(), 0);
        for ((cell, &width), &right) in cells.iter().zip(&self.widths).zip(&self.right) {
            let room = width - cell.width().min(width);
            let (before, after) = if right { (room, 0) } else { (0, room) };
            if cell.is_empty() {
                gap += width;
            } else {
                line.push_str(&" ".repeat(gap + before));
                line.push_str(&cell.to_string());
                gap = after;
            }
            gap += 2;
        }
        line
    }
}

/// Names and values, one pair a line.
pub(crate) fn sheet<C: Clone + Into<Cell>>(pairs: &[(&str, C)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(&str, C)| format!("{name:<width$}  {}", value.clone().into());
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An amount for people; what is below zero stands out.
pub(crate) fn money(amount: AmountOut) -> Cell {
    let tone = if amount.minor() < 0 { Tone::Bad } else { Tone::Plain };
    Cell::new(&grouped(amount), tone)
}

/// What should always be `yes`.
pub(crate) fn yes_or_no(yes: bool) -> Cell {
    if yes { Cell::good("yes") } else { Cell::bad("NO") }
}

/// An amount with its thousands set off, for people.
pub(crate) fn grouped(amount: AmountOut) -> String {
    grouped_text(&amount.to_string())
}

/// A count with its thousands set off, for people.
pub(crate) fn count(number: u64) -> String {
    grouped_text(&number.to_string())
}

/// A rate that is not negative, as a whole number with its thousands set off, for people.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is no negative number, and far from 2^64"
)]
pub(crate) fn rounded(rate: f64) -> String {
    count(rate.round() as u64)
}

fn grouped_text(text: &str) -> String {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// What is printed while nothing is sent, in whole seconds, as `Retry-After` has them.
pub(crate) fn waits_for_rate(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    format!("waiting {}: the nodes limit the rate of this API key", duration_text(Duration::from_secs(seconds)))
}

/// Nothing is shown as a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_off() {
        let shown = |minor: i64, decimals| grouped(AmountOut::new(minor, decimals));
        assert_eq!(shown(0, 0), "0");
        assert_eq!(shown(999, 0), "999");
        assert_eq!(shown(1_000, 0), "1,000");
        assert_eq!(shown(-1_234_567, 2), "-12,345.67");
        assert_eq!(count(1_000_000), "1,000,000");
    }

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let rows = [vec!["a".to_owned(), "1,000".to_owned()], vec!["longer".to_owned(), "5".to_owned()]];
        let shown = paint::shown(&table(&["name", ">sum"], &rows), false);
        assert_eq!(shown, "name      sum\na       1,000\nlonger      5");
    }

    #[test]
    fn columns_line_up_under_persian_names_and_colours() {
        let rows = [
            vec![Cell::from("فروشگاه\u{200c}ها"), Cell::good("ok"), "1".into()],
            vec!["a".into(), Cell::from(""), "22".into()],
        ];
        let shown = paint::shown(&table(&["name", "state", ">n"], &rows), false);
        assert_eq!(shown, "name       state   n\nفروشگاه\u{200c}ها  ok      1\na                 22");
    }
}
