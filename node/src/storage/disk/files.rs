//! Syncs of files and of the folders that name them.

use std::fs::File;
use std::path::Path;

use crate::storage::error::StorageError;

/// Makes a file's bytes and its length survive.
pub(super) fn sync_file(path: &Path) -> Result<(), StorageError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| StorageError::io("sync", path.display(), &error))
}

/// A new name in a folder survives only once the folder itself is synced.
pub(super) fn sync_folder(path: &Path) -> Result<(), StorageError> {
    sync_file(path)
}
