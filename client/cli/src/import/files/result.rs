//! What became of each line, as CSV: the result, and the lines that may be imported again as a file of their own.

use etebar::api::Code;

use super::input::{Columns, Input, RESULT_COLUMNS};
use super::paths::{self, Paths};
use super::record::LineState;
use super::resume::Resume;
use crate::output::error::CliError;

/// Writes `FILE.result.csv`: the input's columns, then [`RESULT_COLUMNS`].
pub(crate) fn write(paths: &Paths, input: &Input, resume: &Resume) -> Result<(), CliError> {
    let mut records = input.records();
    let mut table = ResultTable::new(&input.columns);
    if let Some(head) = records.next() {
        table.row(&head, &RESULT_COLUMNS.map(str::to_owned))?;
    }
    for (index, record) in records.enumerate() {
        let line = &input.lines[index];
        let [status, charge, entry, balance, problem] = cells(&resume.known()[index]);
        let number = line.number.to_string();
        table.row(&record, &[number, resume.key(line), status, charge, entry, balance, problem])?;
    }
    paths::write(&paths.result, &table.finish()?)
}

/// Writes `FILE.again.csv` where this import is at its end and left such lines: without keys, so that a new import
/// gives them new ones. How many there are.
pub(crate) fn write_again(paths: &Paths, input: &Input, resume: &Resume) -> Result<usize, CliError> {
    if !resume.is_complete() && !resume.is_closed() {
        return Ok(0);
    }
    let mut records = input.records();
    let mut table = ResultTable::new(&input.columns);
    if let Some(head) = records.next() {
        table.row(&head, &[])?;
    }
    let mut count = 0;
    for (record, known) in records.zip(resume.known()) {
        if may_go_again(known) {
            table.row(&record, &[])?;
            count += 1;
        }
    }
    if count > 0 {
        paths::write(&paths.again, &table.finish()?)?;
    }
    Ok(count)
}

/// Whether a line certainly moved nothing. A reused key needs a person: it names another charge.
fn may_go_again(known: &LineState) -> bool {
    match known {
        LineState::NotSent => true,
        LineState::Refused { code, detail: _ } => *code != Code::IdempotencyKeyReused,
        LineState::InDoubt(_) | LineState::Charged { .. } => false,
    }
}

/// Status, charge, entry, balance, problem.
fn cells(known: &LineState) -> [String; 5] {
    let bare = |status: &str| [status, "", "", "", ""].map(str::to_owned);
    match known {
        LineState::NotSent => bare("not_sent"),
        LineState::InDoubt(_) => bare("unknown"),
        LineState::Charged { id, entry, balance, replayed: _ } => {
            ["charged".to_owned(), id.to_string(), entry.to_string(), balance.to_string(), String::new()]
        }
        LineState::Refused { code, detail } => {
            let [status, charge, entry, balance, _] = bare("refused");
            [status, charge, entry, balance, format!("{}: {detail}", code.as_str())]
        }
    }
}

/// CSV in memory, without the input's own column of keys: the result has that of all lines.
struct ResultTable {
    writer: csv::Writer<Vec<u8>>,
    key: Option<usize>,
}

impl ResultTable {
    fn new(columns: &Columns) -> ResultTable {
        ResultTable { writer: csv::Writer::from_writer(Vec::new()), key: columns.key }
    }

    fn row<const MORE: usize>(&mut self, carried: &csv::ByteRecord, more: &[String; MORE]) -> Result<(), CliError> {
        let carried = carried.iter().enumerate().filter(|(at, _)| Some(*at) != self.key).map(|(_, cell)| cell);
        self.writer.write_record(carried.chain(more.iter().map(String::as_bytes))).map_err(unwritten)
    }

    fn finish(self) -> Result<Vec<u8>, CliError> {
        self.writer.into_inner().map_err(|error| unwritten(error.into_error()))
    }
}

fn unwritten(error: impl std::fmt::Display) -> CliError {
    CliError::local(format!("the result cannot be written: {error}"))
}
