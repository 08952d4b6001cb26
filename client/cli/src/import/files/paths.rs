//! Where the files of one import are: the input, and beside it the resume file and the results.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use etebar::api::{self, SHOWN_CHARS};

use crate::output::error::{CliError, WRONG_USAGE};
use crate::output::whole_file::{self, WholeFile};

/// Where the files of an import are.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) input: PathBuf,
    /// `FILE.csv.resume`: what is known of each line. Without it, it is unknown which lines were charged.
    pub(crate) resume: PathBuf,
    /// `FILE.result.csv`: what became of each line.
    pub(crate) result: PathBuf,
    /// `FILE.again.csv`: the lines that certainly moved nothing and that this import will not send again.
    pub(crate) again: PathBuf,
}

impl Paths {
    /// The files around `input`, which must be a file. By whichever name it is called, a link or one of several names of
    /// its own, it is one import: the files are beside the name under which it was started.
    pub(crate) fn of(input: &Path) -> Result<Paths, CliError> {
        if !input.is_file() {
            let why = if input.exists() { "is no file" } else { "does not exist" };
            let text = format!("{} {why}; an import keeps a resume file beside its input", input.display());
            return Err(CliError::usage(text));
        }
        let paths = if input.is_symlink() { Paths::linked(input)? } else { Paths::beside(input) };
        if paths.is_begun() { Ok(paths) } else { paths.under_its_other_names() }
    }

    /// The files around what a link leads to.
    fn linked(link: &Path) -> Result<Paths, CliError> {
        let paths = Paths::beside(&link.canonicalize().map_err(failed(link))?);
        // Earlier versions kept them beside the link.
        let before = Paths::beside(link);
        if before.is_begun() && !paths.is_begun() {
            return Err(paths.unclear(&format!("{} is there", before.shown_begun())));
        }
        Ok(paths)
    }

    /// The files around that very path.
    fn beside(input: &Path) -> Paths {
        let beside = |end: &str| {
            let name = input.file_name().unwrap_or_default().to_string_lossy();
            input.with_file_name(format!("{}{end}", name.strip_suffix(".csv").unwrap_or(&name)))
        };
        let mut resume = input.as_os_str().to_owned();
        resume.push(".resume");
        Paths {
            input: input.to_owned(),
            resume: resume.into(),
            result: beside(".result.csv"),
            again: beside(".again.csv"),
        }
    }

    /// The input's path for a text of several lines.
    pub(crate) fn shown_input(&self) -> String {
        shown(&self.input)
    }

    /// Whether an import was started under this name.
    fn is_begun(&self) -> bool {
        self.resume.exists() || self.result.exists()
    }

    fn shown_begun(&self) -> String {
        shown(if self.resume.exists() { &self.resume } else { &self.result })
    }

    /// Where another name of the file (a hard link) in its folder was imported, that import's files; where none was, the
    /// first name's. A file with names in other folders is refused: it may have been imported under one of them.
    fn under_its_other_names(self) -> Result<Paths, CliError> {
        let own = std::fs::metadata(&self.input).map_err(failed(&self.input))?;
        if own.nlink() <= 1 {
            return Ok(self);
        }
        let folder = whole_file::folder_of(&self.input);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
            let entry = entry.map_err(failed(folder))?;
            // One that went away meanwhile is no name of it any more.
            let Ok(other) = std::fs::symlink_metadata(entry.path()) else { continue };
            if (other.dev(), other.ino()) != (own.dev(), own.ino()) {
                continue;
            }
            names.push(entry.path());
        }
        if let Some(begun) = names.iter().map(|name| Paths::beside(name)).find(Paths::is_begun) {
            return Ok(begun);
        }
        // The first of them, so that two imports at once under two names meet at one resume file, and its lock.
        match names.iter().min() {
            Some(first) if names.len() as u64 == own.nlink() => Ok(Paths::beside(first)),
            Some(_) | None => Err(self.unclear(&format!(
                "it has {} names (hard links), {} of them in this folder",
                own.nlink(),
                names.len()
            ))),
        }
    }

    fn unclear(&self, why: &str) -> CliError {
        CliError::Advised {
            text: format!(
                "{} may have been imported under another name: {why}; nothing was sent",
                self.shown_input()
            ),
            hint: "if it was imported, name it as then, and put the resume file beside that name. If it was not, make a copy \
                   and import that"
                .to_owned(),
            code: WRONG_USAGE,
        }
    }
}

/// A path for a text of several lines.
pub(crate) fn shown(path: &Path) -> String {
    api::shown(&path.display().to_string(), SHOWN_CHARS).into_owned()
}

/// Writes a whole file in place of any that is there, for its owner's eyes alone.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = WholeFile::private(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.put().map(drop)
    });
    written.map_err(failed(path))
}

/// An error of the system, with the file's name.
pub(crate) fn failed(path: &Path) -> impl Fn(io::Error) -> CliError {
    move |error| CliError::local(format!("{}: {error}", path.display()))
}
