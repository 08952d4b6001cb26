//! Where a list goes: stdout, or a file that appears when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use etebar::api;

use super::super::output;
use crate::output::stop::Stop;

pub(crate) enum Sink {
    Stdout,
    /// A terminal that gets cells as others wrote them: they are escaped there alone, since a file keeps them exact.
    Terminal,
    File(Part),
    /// A device or a pipe: written as it comes, since putting a file in its place would be no favour.
    Stream(File, PathBuf),
}

/// A file under way. It has another name beside its own until it is whole, and goes away where it never is.
pub(crate) struct Part {
    to: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
}

impl Sink {
    /// Stdout; `raw` says that the text is not escaped already.
    pub(crate) fn stdout(raw: bool) -> Sink {
        if raw && io::stdout().is_terminal() { Sink::Terminal } else { Sink::Stdout }
    }

    pub(crate) fn file(path: &Path) -> Result<Sink, Stop> {
        let failed = |error| failed(path, &error);
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(Stop::usage(format!("{}: is a folder", path.display()))),
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                return Ok(Sink::Stream(file, path.to_owned()));
            }
            Ok(_) | Err(_) => {}
        }
        // A link stays, and what it points to becomes the new file.
        let to = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let Some(name) = to.file_name() else {
            return Err(Stop::usage(format!("{}: names no file", path.display())));
        };
        let part = to.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part).map_err(failed)?;
        Ok(Sink::File(Part { to, part, file: BufWriter::new(file) }))
    }

    /// False where nobody reads it any more.
    pub(crate) fn write(&mut self, text: &str) -> Result<bool, Stop> {
        match self {
            Sink::Stdout => output::write(text),
            Sink::Terminal => output::write(&api::shown_lines(text, usize::MAX, usize::MAX - 1)),
            Sink::File(part) => {
                part.file.write_all(text.as_bytes()).map(|()| true).map_err(|error| unprinted(&part.to, &error))
            }
            Sink::Stream(file, path) => match file.write_all(text.as_bytes()) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                Err(error) => Err(unprinted(path, &error)),
            },
        }
    }

    /// Puts a file in its place.
    pub(crate) fn finish(self) -> Result<(), Stop> {
        match self {
            Sink::Stdout | Sink::Terminal | Sink::Stream(..) => Ok(()),
            Sink::File(mut part) => {
                let synced = part.file.flush().and_then(|()| part.file.get_ref().sync_all());
                synced.and_then(|()| fs::rename(&part.part, &part.to)).map_err(|error| unprinted(&part.to, &error))
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Where it was put in its place there is nothing left to remove.
        let _ = fs::remove_file(&self.part);
    }
}

fn failed(path: &Path, error: &io::Error) -> Stop {
    Stop::local(format!("{}: {error}", path.display()))
}

fn unprinted(path: &Path, error: &io::Error) -> Stop {
    Stop::Unprinted(format!("{}: {error}", path.display()))
}
