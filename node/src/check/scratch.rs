//! A copy of a data directory's databases that may be written to, in a folder of its own that is removed afterwards.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::CheckError;
use crate::storage::disk::ImageName;

/// Names that are tried for the folder.
const NAMES: u32 = 100;

/// The copy. Dropped before [`Scratch::remove`], as where something panics, it is removed too.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    original: PathBuf,
    is_removed: bool,
}

impl Scratch {
    /// Copies the folders `parts` of `original` below `place`, but for the images, which only save a start time.
    pub(super) fn copy_of(original: &Path, parts: &[&str], place: Option<&Path>) -> Result<Self, CheckError> {
        let place = place.map_or_else(std::env::temp_dir, Path::to_owned);
        let needed = parts.iter().map(|part| bytes_below(&original.join(part))).sum::<Result<u64, _>>()?;
        let stat = rustix::fs::statvfs(&place).map_err(|error| failed("measure", &place)(error.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if needed > free {
            return Err(CheckError::NoRoom { needed, place, free });
        }
        let folder = make_folder(&place)?;
        let scratch = Self { folder, original: original.to_owned(), is_removed: false };
        for part in parts {
            copy_folder(&original.join(part), &scratch.folder.join(part))?;
        }
        Ok(scratch)
    }

    /// Where the copy is.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// A message about the copy as one about the original.
    pub(super) fn original(&self, message: &str) -> String {
        message.replace(&self.folder.display().to_string(), &self.original.display().to_string())
    }

    /// Removes the copy.
    pub(super) fn remove(mut self) -> Result<(), CheckError> {
        self.is_removed = true;
        fs::remove_dir_all(&self.folder).map_err(failed("remove", &self.folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_removed
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            eprintln!("etebar-node: the copy in {} is left: {error}", self.folder.display());
        }
    }
}

/// Makes a folder of its own, for the caller's eyes alone, as the data is. What an earlier check left, that was killed under the
/// same process number, is left alone.
fn make_folder(place: &Path) -> Result<PathBuf, CheckError> {
    let mut folder = PathBuf::new();
    for attempt in 0..NAMES {
        folder = place.join(format!("etebar-check-{}-{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("make", &folder)(error)),
        }
    }
    Err(failed("make", &folder)(io::ErrorKind::AlreadyExists.into()))
}

/// Bytes of all files that are copied.
fn bytes_below(folder: &Path) -> Result<u64, CheckError> {
    let mut bytes = 0;
    for (path, metadata) in entries(folder)? {
        bytes += if metadata.is_dir() { bytes_below(&path)? } else { metadata.len() };
    }
    Ok(bytes)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), CheckError> {
    fs::create_dir(to).map_err(failed("make", to))?;
    for (path, metadata) in entries(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if metadata.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            // The kernel shares the blocks where the file system can.
            fs::copy(&path, &target).map_err(failed("copy", &path))?;
        }
    }
    Ok(())
}

/// The folders and files in a folder that belong to its databases.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>, CheckError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let path = entry.map_err(failed("read", folder))?.path();
        let is_image = [ImageName::State, ImageName::Audit].iter().any(|image| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_suffix(".new").unwrap_or(name) == image.file()
        });
        let metadata = fs::metadata(&path).map_err(failed("read", &path))?;
        if !is_image && (metadata.is_dir() || metadata.is_file()) {
            found.push((path, metadata));
        }
    }
    Ok(found)
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CheckError + 'a {
    move |source| CheckError::Io { doing, path: path.to_owned(), source }
}
