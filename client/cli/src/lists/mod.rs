//! Lists, printed page by page as they come: a table, CSV, JSON lines, or one JSON page, to stdout or to a file.
//!
//! Memory: one page at a time, but for the JSON page of a bounded list, which is printed whole or not at all.

pub(crate) mod sink;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use etebar::Pager;
use etebar::api::{self, MAX_PAGE, SHOWN_CHARS};

use crate::arguments::{Format, Listing};
use crate::output::error::CliError;
use crate::output::paint::{self, Cell};
use crate::output::{Columns, json_text};
use crate::session::Session;
use sink::Sink;

/// What a list holds.
pub(crate) trait Listed: Serialize + DeserializeOwned {
    /// The head of a table for people.
    const HEAD: &'static [&'static str];
    /// The JSON fields of an item, in the order of a CSV's columns.
    const COLUMNS: &'static [&'static str];

    /// A line of the table.
    fn row(&self) -> Vec<Cell>;
}

/// Fields with free text, which a spreadsheet could read as a formula.
const FREE_TEXTS: [&str; 7] = ["name", "note", "reason", "actor", "decided_by", "reference", "caller_reference"];

/// What a formula begins with, the wide signs of East Asian keyboards and the dashes that text programs make of a minus
/// among them.
const FORMULA_SIGNS: [char; 9] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '−'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Table,
    Csv,
    Jsonl,
    /// `{"items":[…],"next":…}`, as the API has it.
    Page,
}

/// Prints a list, as much of it and as `listing` says.
pub(crate) async fn print<T: Listed>(
    session: &Session,
    mut pager: Pager<T>,
    listing: &Listing,
) -> Result<(), CliError> {
    let style = match (listing.format, session.output.is_json()) {
        (Some(Format::Table), _) | (None, false) => Style::Table,
        (Some(Format::Csv), _) => Style::Csv,
        (Some(Format::Jsonl), _) => Style::Jsonl,
        (None, true) => Style::Page,
    };
    let mut sink = match &listing.output {
        Some(path) => Sink::file(path)?,
        None => Sink::stdout(style == Style::Csv),
    };
    let painted = session.output.is_painted() && listing.output.is_none();
    let mut printer = Printer { style, columns: Columns::new(T::HEAD), headed: false, painted, printed: 0 };
    let at_once = style == Style::Page && !listing.all;
    let mut remaining = if listing.all { u64::MAX } else { u64::from(listing.limit) };
    let mut text = printer.begin::<T>()?;
    let mut next = None;
    pager = pager.after(listing.after.clone());
    while remaining > 0 {
        pager.set_limit(u32::try_from(remaining).unwrap_or(MAX_PAGE));
        let Some(page) = pager.next_page().await? else { break };
        remaining = remaining.saturating_sub(page.value.items.len() as u64);
        next = page.value.next;
        text.push_str(&printer.page(&page.value.items)?);
        if !at_once && !sink.write(&std::mem::take(&mut text))? {
            return Ok(());
        }
    }
    text.push_str(&printer.end(next.as_deref())?);
    sink.write(&text)?;
    sink.finish()?;
    follow_up(session, listing, &printer, next.as_deref())
}

/// What is said about the list: on stdout only below a table that is read there.
fn follow_up(session: &Session, listing: &Listing, printer: &Printer, next: Option<&str>) -> Result<(), CliError> {
    if let Some(path) = &listing.output {
        session.output.progress(&format!(
            "{} items are in {}",
            printer.printed,
            Cell::from(path.display().to_string())
        ));
    }
    let more = next.map(|next| format!("more follows: --after {}, or --all", api::shown(next, SHOWN_CHARS)));
    match more {
        Some(more) if printer.style == Style::Table && listing.output.is_none() => session.output.remark(&more),
        Some(more) if printer.style != Style::Page => {
            session.output.progress(&more);
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

struct Printer {
    style: Style,
    columns: Columns,
    /// The table's head is printed.
    headed: bool,
    painted: bool,
    /// Items so far.
    printed: u64,
}

impl Printer {
    /// What stands before the first item. A table's head waits for the first page, whose cells make it wide enough.
    fn begin<T: Listed>(&self) -> Result<String, CliError> {
        match self.style {
            Style::Table | Style::Jsonl => Ok(String::new()),
            Style::Csv => csv_lines([T::COLUMNS.iter().map(|column| (*column).to_owned()).collect()]),
            Style::Page => Ok("{\"items\":[".to_owned()),
        }
    }

    fn page<T: Listed>(&mut self, items: &[T]) -> Result<String, CliError> {
        let text = match self.style {
            Style::Table => Ok(self.rows(items)),
            Style::Csv => csv_lines(items.iter().map(record).collect::<Result<Vec<_>, _>>()?),
            Style::Jsonl => items.iter().map(|item| Ok(json_text(item)? + "\n")).collect(),
            Style::Page => {
                let texts = items.iter().map(json_text).collect::<Result<Vec<_>, _>>()?;
                let comma = if self.printed > 0 && !texts.is_empty() { "," } else { "" };
                Ok(format!("{comma}{}", texts.join(",")))
            }
        };
        self.printed += items.len() as u64;
        text
    }

    /// Lines of a table, below its head at first. A later page may widen a column from there on.
    fn rows<T: Listed>(&mut self, items: &[T]) -> String {
        let rows: Vec<_> = items.iter().map(Listed::row).collect();
        self.columns.widen(&rows);
        let head = (!std::mem::replace(&mut self.headed, true)).then(|| self.columns.head());
        let lines = head.into_iter().chain(rows.iter().map(|row| self.columns.row(row)));
        lines.map(|line| paint::shown(&line, self.painted) + "\n").collect()
    }

    /// What stands after the last item.
    fn end(&self, next: Option<&str>) -> Result<String, CliError> {
        match self.style {
            Style::Table | Style::Csv | Style::Jsonl => Ok(String::new()),
            Style::Page => Ok(format!("],\"next\":{}}}\n", json_text(&next)?)),
        }
    }
}

/// An item's fields as they stand in JSON, without quotes; a missing one is empty.
fn record<T: Listed>(item: &T) -> Result<Vec<String>, CliError> {
    let value = serde_json::to_value(item).map_err(|error| CliError::local(format!("not JSON: {error}")))?;
    let cell = |column: &&str| match value.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if FREE_TEXTS.contains(column) => inert(text),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Ok(T::COLUMNS.iter().map(cell).collect())
}

/// A text that no spreadsheet evaluates: one that begins like a formula gets an apostrophe, which marks it as text.
/// Source: OWASP, "CSV Injection"; programs skip blanks and invisible characters before the sign, and some take wide signs.
fn inert(text: &str) -> String {
    let begun = text.trim_start_matches(|char: char| char.is_whitespace() || !api::is_visible(char));
    let formula = begun.starts_with(FORMULA_SIGNS) || text.starts_with(['\t', '\r', '\n']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

fn csv_lines(records: impl IntoIterator<Item = Vec<String>>) -> Result<String, CliError> {
    let wrong = |error: String| CliError::local(format!("not CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(&record).map_err(|error| wrong(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_like_a_formula_is_made_inert() {
        let before = [
            "", " ", "  ", "\t", "\r", "\n", "\r\n ", "\u{a0}", "\u{3000}", "\u{feff}", "\u{200b}", "\u{2028}",
            "\u{1b}",
        ];
        for blank in before {
            for sign in FORMULA_SIGNS {
                let text = format!("{blank}{sign}1+1");
                assert_eq!(inert(&text), format!("'{text}"));
            }
        }
        assert_eq!(inert("\n"), "'\n");
        for text in ["till-1", " till = 1", "'=1", "1=1", "", " "] {
            assert_eq!(inert(text), text);
        }
    }

    #[test]
    fn cells_with_commas_quotes_and_lines_are_quoted() {
        let lines = csv_lines([vec!["a,b".to_owned(), "say \"no\"".to_owned(), "1\n2".to_owned(), String::new()]]);
        assert_eq!(lines.ok().as_deref(), Some("\"a,b\",\"say \"\"no\"\"\",\"1\n2\",\n"));
    }
}
