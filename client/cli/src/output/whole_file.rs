//! A file that appears when it is whole: written under a name beside its own, synced, and put in place at once.
//!
//! The other name is random and new. Were it one that can be guessed, another user who may write into the folder could leave a
//! link there, and its target would be truncated and written.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// For its owner's eyes alone.
const PRIVATE: u32 = 0o600;
/// For all that the process's umask lets read and write.
const SHARED: u32 = 0o666;

/// A file under way. It goes away where it is never put in place.
pub(crate) struct WholeFile {
    to: PathBuf,
    part: BufWriter<NamedTempFile>,
}

impl WholeFile {
    /// Begins a file that will be at `to`, with the permissions of the one that it replaces, as far as the umask lets.
    pub(crate) fn create(to: &Path) -> io::Result<WholeFile> {
        let mode = std::fs::metadata(to).map_or(SHARED, |there| there.permissions().mode() & 0o777);
        WholeFile::begin(to, mode)
    }

    /// Begins a file that only its owner may read.
    pub(crate) fn private(to: &Path) -> io::Result<WholeFile> {
        WholeFile::begin(to, PRIVATE)
    }

    fn begin(to: &Path, mode: u32) -> io::Result<WholeFile> {
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let mut builder = Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix).suffix(".part").permissions(Permissions::from_mode(mode));
        Ok(WholeFile { to: to.to_owned(), part: BufWriter::new(builder.tempfile_in(folder_of(to))?) })
    }

    /// Where it will be.
    pub(crate) fn path(&self) -> &Path {
        &self.to
    }

    pub(crate) fn file(&self) -> &File {
        self.part.get_ref().as_file()
    }

    /// Puts it in place of any file that is there.
    pub(crate) fn put(self) -> io::Result<File> {
        let (part, to) = self.synced()?;
        let file = part.persist(&to).map_err(|error| error.error)?;
        sync_folder_of(&to)?;
        Ok(file)
    }

    /// Puts it in place, unless something is there: [`io::ErrorKind::AlreadyExists`].
    pub(crate) fn put_where_none_is(self) -> io::Result<File> {
        let (part, to) = self.synced()?;
        let file = part.persist_noclobber(&to).map_err(|error| error.error)?;
        sync_folder_of(&to)?;
        Ok(file)
    }

    fn synced(self) -> io::Result<(NamedTempFile, PathBuf)> {
        let part = self.part.into_inner().map_err(io::IntoInnerError::into_error)?;
        part.as_file().sync_all()?;
        Ok((part, self.to))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.flush()
    }
}

/// The folder that a path's file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a name in the folder durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}
