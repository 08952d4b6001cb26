//! Backup files: opened as one chain, and why one is refused, with what to do.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pages::backup::{BackupError, Chain, ChainError};

use crate::output::error::CliError;

/// Bytes that are read from a file at once: many pages.
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// Opens a backup and its increments as one.
pub(super) fn open_chain(files: &[PathBuf]) -> Result<Chain<BufReader<File>>, CliError> {
    let mut inputs = Vec::new();
    for path in files {
        let file = File::open(path).map_err(|error| failed(path, &error))?;
        inputs.push((path.display().to_string(), BufReader::with_capacity(BUFFER_BYTES, file)));
    }
    Chain::open(inputs).map_err(refused)
}

pub(super) fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::local(format!("{}: {error}", path.display()))
}

/// A file of a chain that is refused, with what to do.
pub(super) fn refused(refused: ChainError) -> CliError {
    let ChainError { name, error } = refused;
    refused_file(&name, &error)
}

pub(super) fn refused_file(name: &str, error: &BackupError) -> CliError {
    let text = format!("{name}: {error}");
    let hint = match error {
        BackupError::Cut { .. } | BackupError::Altered { .. } => return CliError::Damaged(text),
        BackupError::Io(_) | BackupError::Unwritable { .. } => return CliError::Local(text),
        BackupError::Foreign => "give a file that `etebar backup` or `etebar-node backup` wrote",
        BackupError::Newer { .. } => "`etebar --version` shows this build; nothing is wrong with the file",
        BackupError::Elsewhere { .. } => {
            "name the whole backup first, then each increment in the order in which they were made"
        }
    };
    CliError::Advised { text, hint: hint.to_owned(), code: 1 }
}
