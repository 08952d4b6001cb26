//! Where a list goes: stdout, or a file that appears when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use etebar::api;

use crate::output;
use crate::output::error::CliError;
use crate::output::whole_file::WholeFile;

/// Where a text goes.
pub(crate) enum Sink {
    Stdout,
    /// A terminal that gets cells as others wrote them: they are escaped there alone, since a file keeps them exact.
    Terminal,
    File(WholeFile),
    /// A device or a pipe: written as it comes, since it must not be replaced by a file.
    Stream(File, PathBuf),
}

impl Sink {
    /// Stdout; `raw` says that the text is not escaped already.
    pub(crate) fn stdout(raw: bool) -> Sink {
        if raw && io::stdout().is_terminal() { Sink::Terminal } else { Sink::Stdout }
    }

    pub(crate) fn file(path: &Path) -> Result<Sink, CliError> {
        let failed = |error| failed(path, &error);
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(CliError::usage(format!("{}: is a folder", path.display()))),
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                return Ok(Sink::Stream(file, path.to_owned()));
            }
            Ok(_) | Err(_) => {}
        }
        // A link stays, and what it points to becomes the new file.
        let to = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if to.file_name().is_none() {
            return Err(CliError::usage(format!("{}: names no file", path.display())));
        }
        WholeFile::create(&to).map(Sink::File).map_err(failed)
    }

    /// False where the reader has closed the pipe.
    pub(crate) fn write(&mut self, text: &str) -> Result<bool, CliError> {
        match self {
            Sink::Stdout => output::write(text),
            Sink::Terminal => output::write(&api::shown_lines(text, usize::MAX, usize::MAX - 1)),
            Sink::File(file) => {
                file.write_all(text.as_bytes()).map(|()| true).map_err(|error| unprinted(file.path(), &error))
            }
            Sink::Stream(file, path) => match file.write_all(text.as_bytes()) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                Err(error) => Err(unprinted(path, &error)),
            },
        }
    }

    /// Puts a file in its place.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self {
            Sink::Stdout | Sink::Terminal | Sink::Stream(..) => Ok(()),
            Sink::File(file) => {
                let path = file.path().to_owned();
                file.put().map(drop).map_err(|error| unprinted(&path, &error))
            }
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::local(format!("{}: {error}", path.display()))
}

fn unprinted(path: &Path, error: &io::Error) -> CliError {
    CliError::Unprinted(format!("{}: {error}", path.display()))
}
