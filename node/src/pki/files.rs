//! Certificate and key files: written whole, durable, keys readable by their owner alone from their creation.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::PkiError;

/// The mode of a private key.
pub(crate) const PRIVATE: u32 = 0o600;
/// The mode of a certificate.
pub(crate) const PUBLIC: u32 = 0o644;

/// Makes the folder, for its owner alone, where there is none.
pub(crate) fn make_folder(path: &Path) -> Result<(), PkiError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))
}

/// What a file holds; `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// A file that is written and synced under another name, and takes its own only with [`Draft::publish`].
#[derive(Debug)]
pub(crate) struct Draft {
    draft: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Writes the content; the mode is the file's from its creation.
    pub(crate) fn write(target: &Path, content: &str, mode: u32) -> Result<Self, PkiError> {
        let mut draft = target.to_owned().into_os_string();
        draft.push(format!(".{}.new", std::process::id()));
        let draft = Self { draft: draft.into(), target: target.to_owned() };
        match fs::remove_file(&draft.draft) {
            // One that an interrupted process of the same number left.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("remove", &draft.draft)(error)),
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft.draft);
        let written = file.as_mut().map_err(|error| io::Error::new(error.kind(), error.to_string())).and_then(|file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed("write", &draft.draft))?;
        Ok(draft)
    }

    /// Puts it in place, over a file of that name.
    pub(crate) fn replace(self) -> Result<(), PkiError> {
        fs::rename(&self.draft, &self.target).map_err(failed("replace", &self.target))?;
        sync_folder_of(&self.target)
    }

    /// Puts it in place where there is no file of that name, however that came to be.
    pub(crate) fn publish(self) -> Result<(), PkiError> {
        match fs::hard_link(&self.draft, &self.target) {
            Ok(()) => sync_folder_of(&self.target),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(PkiError::Exists(format!("{} exists: nothing was changed", self.target.display())))
            }
            Err(error) => Err(failed("make", &self.target)(error)),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed away, as a rule; a file that cannot be removed is never read or overwritten.
        fs::remove_file(&self.draft).ok();
    }
}

fn sync_folder_of(path: &Path) -> Result<(), PkiError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

pub(crate) fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PkiError + 'a {
    move |source| PkiError::Io { action, path: path.to_owned(), source }
}
