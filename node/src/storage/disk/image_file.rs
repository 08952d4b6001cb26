//! The images of a disk: a file each beside the map, replaced whole.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::files::sync_folder;
use super::{ImageName, ImageWriter};
use crate::storage::error::StorageError;

/// Bytes between two syncs while one is written. Source: what one sync has to write at once delays the syncs of the log; this
/// takes a few milliseconds.
const SYNC_BYTES: usize = 4 * 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// Where an image of the disk in `folder` is.
fn path_in(folder: &Path, name: ImageName) -> PathBuf {
    folder.join(name.file())
}

/// The last one that was kept.
pub(super) fn open(folder: &Path, name: ImageName) -> Result<Option<Box<dyn Read + Send>>, StorageError> {
    let path = path_in(folder, name);
    match File::open(&path) {
        Ok(file) => Ok(Some(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("open", path.display(), &error)),
    }
}

/// Begins another one.
pub(super) fn create(folder: &Path, name: ImageName) -> Result<Box<dyn ImageWriter>, StorageError> {
    let path = folder.join(format!("{}.new", name.file()));
    let file = File::create(&path).map_err(|error| StorageError::io("make", path.display(), &error))?;
    let file = Synced { file, unsynced: 0 };
    Ok(Box::new(NewImage { folder: folder.to_owned(), name, path, file: BufWriter::with_capacity(BUFFER_BYTES, file) }))
}

/// Removes what there is.
pub(super) fn remove(folder: &Path, name: ImageName) -> Result<(), StorageError> {
    let path = path_in(folder, name);
    match fs::remove_file(&path) {
        Ok(()) => sync_folder(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StorageError::io("remove", path.display(), &error)),
    }
}

/// A file that is synced as it is written.
struct Synced {
    file: File,
    unsynced: usize,
}

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

struct NewImage {
    folder: PathBuf,
    name: ImageName,
    path: PathBuf,
    file: BufWriter<Synced>,
}

impl NewImage {
    fn failed(&self, doing: &'static str, error: &io::Error) -> StorageError {
        StorageError::io(doing, self.path.display(), error)
    }
}

impl ImageWriter for NewImage {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_all(bytes).map_err(|error| self.failed("write", &error))
    }

    fn keep(mut self: Box<Self>) -> Result<(), StorageError> {
        self.file.flush().map_err(|error| self.failed("write", &error))?;
        self.file.get_ref().file.sync_all().map_err(|error| self.failed("sync", &error))?;
        fs::rename(&self.path, path_in(&self.folder, self.name)).map_err(|error| self.failed("rename", &error))?;
        sync_folder(&self.folder)
    }
}
