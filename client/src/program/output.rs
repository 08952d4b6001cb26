//! What goes to stdout (results) and to stderr (why there are none).

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use crate::api::AmountOut;
use crate::client::Error;

use super::stop::{Stop, WRONG_USAGE};

/// Where and how to print. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Output {
        Output { json }
    }

    /// `value` as JSON on one line, or `text` for people.
    pub(super) fn either(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Stop> {
        if self.json { self.json(value) } else { line(&text()) }
    }

    fn json(&self, value: &impl Serialize) -> Result<(), Stop> {
        let text = serde_json::to_string(value).map_err(|error| Stop::local(format!("not JSON: {error}")))?;
        line(&text)
    }

    /// A line for people alone.
    pub(super) fn remark(&self, text: &str) -> Result<(), Stop> {
        if self.json { Ok(()) } else { line(text) }
    }

    /// What is under way, for people alone, on stderr.
    pub(super) fn progress(&self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Whether tables are printed, and progress is told.
    pub(super) fn is_for_people(&self) -> bool {
        !self.json
    }

    /// Why there is no result, and what to do next.
    pub(super) fn stop(&self, stop: &Stop, hint: Option<&str>) {
        if !self.json {
            eprintln!("etebar: {stop}");
            if let Some(hint) = hint {
                eprintln!("hint: {hint}");
            }
            return;
        }
        let mut value = match stop {
            Stop::Call(Error::Refused(problem)) => json!(problem),
            Stop::Call(Error::NotDone(not_done)) => {
                json!({"code": "not_done", "detail": not_done.detail, "attempts": not_done.attempts, "problem": not_done.problem})
            }
            Stop::Call(Error::OutcomeUnknown(unknown)) => json!({
                "code": "outcome_unknown", "detail": unknown.detail, "attempts": unknown.attempts,
                "idempotency_key": unknown.key.as_ref().map(|key| key.as_str()),
            }),
            Stop::Usage(text) => json!({"code": "wrong_usage", "detail": text}),
            Stop::Local(text) => json!({"code": "failed", "detail": text}),
            Stop::Unproven(text) => json!({"code": "unproven", "detail": text}),
            Stop::Broken(text) => json!({"code": "broken_promise", "detail": text}),
            Stop::Advised { text, hint: _, code } => {
                let name = if *code == WRONG_USAGE { "wrong_usage" } else { "unfinished" };
                json!({"code": name, "detail": text})
            }
        };
        if let Some(hint) = hint {
            value["hint"] = json!(hint);
        }
        eprintln!("{value}");
    }
}

fn line(text: &str) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| Stop::local(format!("stdout: {error}")))
}

/// Rows under a head; each column as wide as its widest cell. Columns named with a leading `>` are flush right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let right: Vec<bool> = head.iter().map(|name| name.starts_with('>')).collect();
    let head: Vec<String> = head.iter().map(|name| name.trim_start_matches('>').to_owned()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(head.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let lines = std::iter::once(&head).chain(rows).map(|row| {
        let cells =
            row.iter().zip(&widths).zip(&right).map(|((cell, &width), &right)| {
                if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Names and values, one pair a line.
pub(super) fn sheet(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect::<Vec<_>>().join("\n")
}

/// An amount with its thousands set off, for people.
pub(super) fn grouped(amount: AmountOut) -> String {
    grouped_text(&amount.to_string())
}

/// A count with its thousands set off, for people.
pub(super) fn count(number: u64) -> String {
    grouped_text(&number.to_string())
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

/// Nothing is shown as a dash.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_off() {
        let shown = |minor: i64, places| grouped(AmountOut::new(minor, places));
        assert_eq!(shown(0, 0), "0");
        assert_eq!(shown(999, 0), "999");
        assert_eq!(shown(1_000, 0), "1,000");
        assert_eq!(shown(-1_234_567, 2), "-12,345.67");
        assert_eq!(count(1_000_000), "1,000,000");
    }

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let rows = [vec!["a".to_owned(), "1,000".to_owned()], vec!["longer".to_owned(), "5".to_owned()]];
        assert_eq!(table(&["name", ">sum"], &rows), "name      sum\na       1,000\nlonger      5");
    }
}
