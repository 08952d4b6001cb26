//! Marks: what was done to the cluster during a load, one JSON line each, in the order of their times.

use std::io::BufRead;
use std::path::Path;

use serde::Deserialize;

use crate::output::error::CliError;

/// Most marks of one drawing: more run into each other.
const MARKS_MAX: usize = 1_000;

/// Something that was done to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Mark {
    pub(crate) at_ms: u64,
    /// When it was undone, where that is known.
    pub(crate) until_ms: Option<u64>,
    pub(crate) what: String,
}

/// Reads a file of marks.
pub(crate) fn read_marks(path: &Path) -> Result<Vec<Mark>, CliError> {
    let file = std::fs::File::open(path).map_err(|error| failed(path, &error))?;
    let mut marks = Vec::new();
    for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| failed(path, &error))?;
        let wrong = |why: String| CliError::usage(format!("{} line {}: {why}", path.display(), index + 1));
        if marks.len() == MARKS_MAX {
            return Err(wrong(format!("more than {MARKS_MAX} marks")));
        }
        marks.push(serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?);
    }
    marks.sort_by_key(|mark: &Mark| mark.at_ms);
    Ok(marks)
}

/// Why a file could not be read or written.
fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::local(format!("{}: {error}", path.display()))
}
