//! The files of one import: the input, and beside it what is kept and what is told of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::stop::Stop;

/// Where the files of an import are.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) input: PathBuf,
    /// `FILE.csv.resume`: what is known of each line. Lost, nobody knows what was charged.
    pub(super) resume: PathBuf,
    /// `FILE.result.csv`: what became of each line.
    pub(super) result: PathBuf,
    /// `FILE.again.csv`: the lines that certainly moved nothing and that this import will not send again.
    pub(super) again: PathBuf,
}

impl Place {
    /// The files around `input`, which must be a file.
    pub(super) fn of(input: &Path) -> Result<Place, Stop> {
        if !input.is_file() {
            let why = if input.exists() { "is no file" } else { "does not exist" };
            let text = format!("{} {why}; an import keeps a resume file beside its input", input.display());
            return Err(Stop::usage(text));
        }
        let beside = |end: &str| {
            let name = input.file_name().unwrap_or_default().to_string_lossy();
            input.with_file_name(format!("{}{end}", name.strip_suffix(".csv").unwrap_or(&name)))
        };
        let mut resume = input.as_os_str().to_owned();
        resume.push(".resume");
        Ok(Place {
            input: input.to_owned(),
            resume: resume.into(),
            result: beside(".result.csv"),
            again: beside(".again.csv"),
        })
    }
}

/// The path under which a file is made before it is put in place.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// A file for its owner's eyes alone, opened for writing and not cut.
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Puts a synced file in its place: whole, or not at all.
pub(super) fn put(made: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(made, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Writes a whole file in place of whatever is there.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    let made = unfinished(path);
    let written = private(&made).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        put(&made, path)
    });
    written.map_err(failed(path))
}

/// An error of the system, with the file's name.
pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> Stop {
    move |error| Stop::local(format!("{}: {error}", path.display()))
}
