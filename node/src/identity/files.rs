//! The files of a data directory, each whole or not there.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::DataDirError;
use super::types::{FORMAT, Identity};

/// The file that says whose the directory is.
pub(super) const IDENTITY: &str = "identity.json";
/// The file in each part of a data directory that holds the directory's incarnation.
pub(super) const OWNER: &str = "owner";
/// The file whose lock a process holds that makes or serves the directory.
pub(super) const LOCK: &str = "lock";

/// The identity file: the identity and a checksum over its JSON, so that a flipped bit cannot make another node.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    identity: Identity,
    blake3: String,
}

/// Takes the lock of a data directory.
pub(super) fn lock(path: &Path) -> Result<File, DataDirError> {
    let lock_path = path.join(LOCK);
    let lock = File::create(&lock_path).map_err(failed("open", &lock_path))?;
    held(path, lock)
}

/// The same without making its file; none where there is none, and so no process that holds it.
pub(super) fn lock_found(path: &Path) -> Result<Option<File>, DataDirError> {
    let lock_path = path.join(LOCK);
    match File::open(&lock_path) {
        Ok(lock) => held(path, lock).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", &lock_path)(error)),
    }
}

fn held(path: &Path, lock: File) -> Result<File, DataDirError> {
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DataDirError::Locked(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path.join(LOCK))(source)),
    }
}

/// Refuses a directory of which a part is missing or another one's.
pub(super) fn check_parts(path: &Path, identity: &Identity, parts: &[&str]) -> Result<(), DataDirError> {
    for part in parts {
        let folder = path.join(part);
        if !folder.is_dir() {
            return Err(DataDirError::PartMissing(folder));
        }
        check_owner(&folder, identity)?;
    }
    Ok(())
}

/// Puts the identity in place; durable when this returns.
pub(super) fn write_identity(path: &Path, identity: &Identity) -> Result<(), DataDirError> {
    let blake3 = checksum(path, identity)?;
    let file = IdentityFile { identity: identity.clone(), blake3 };
    let json = serde_json::to_vec_pretty(&file).map_err(|error| damaged(path, &error))?;
    write_whole(path, IDENTITY, &json)
}

/// Under which name a file is written before it is put in place.
pub(super) fn draft_of(name: &str) -> String {
    format!("{name}.new")
}

/// Puts a file in place whole or not at all; durable when this returns.
pub(super) fn write_whole(folder: &Path, name: &str, content: &[u8]) -> Result<(), DataDirError> {
    let (draft, target) = (folder.join(draft_of(name)), folder.join(name));
    let mut out = File::create(&draft).map_err(failed("write", &draft))?;
    out.write_all(content).and_then(|()| out.sync_all()).map_err(failed("write", &draft))?;
    fs::rename(&draft, &target).map_err(failed("rename", &draft))?;
    sync_folder(folder)
}

/// Refuses a part of another node's data directory: its votes and entries are not this node's.
fn check_owner(folder: &Path, identity: &Identity) -> Result<(), DataDirError> {
    let file = folder.join(OWNER);
    let owner = match fs::read_to_string(&file) {
        Ok(owner) => owner,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DataDirError::PartMissing(file)),
        Err(error) => return Err(failed("read", &file)(error)),
    };
    if owner == identity.incarnation.to_string() {
        return Ok(());
    }
    Err(DataDirError::Foreign {
        path: folder.to_owned(),
        found: format!("data directory {owner}"),
        expected: format!("data directory {}", identity.incarnation),
    })
}

/// Whose the directory is.
pub(super) fn read_identity(path: &Path) -> Result<Identity, DataDirError> {
    let target = path.join(IDENTITY);
    let json = match fs::read(&target) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DataDirError::Absent(path.to_owned())),
        Err(error) => return Err(failed("read", &target)(error)),
    };
    let value: serde_json::Value = serde_json::from_slice(&json).map_err(|error| damaged(&target, &error))?;
    let format = value.pointer("/identity/format").and_then(serde_json::Value::as_u64);
    if let Some(found) = format.and_then(|found| u32::try_from(found).ok()).filter(|found| *found != FORMAT) {
        return Err(DataDirError::OtherFormat { path: target, found });
    }
    let file: IdentityFile = serde_json::from_value(value).map_err(|error| damaged(&target, &error))?;
    if file.blake3 != checksum(&target, &file.identity)? {
        return Err(DataDirError::Damaged { path: target, what: "its checksum does not match".to_owned() });
    }
    Ok(file.identity)
}

/// BLAKE3 of the identity's compact JSON, in hexadecimal.
fn checksum(path: &Path, identity: &Identity) -> Result<String, DataDirError> {
    let json = serde_json::to_vec(identity).map_err(|error| damaged(path, &error))?;
    Ok(blake3::hash(&json).to_hex().to_string())
}

fn damaged(path: &Path, error: &serde_json::Error) -> DataDirError {
    DataDirError::Damaged { path: path.to_owned(), what: error.to_string() }
}

/// An error of the file system.
pub(super) fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> DataDirError + 'a {
    move |source| DataDirError::Io { action, path: path.to_owned(), source }
}

/// Makes what was put into a folder, and removed from it, durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), DataDirError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("sync", path))
}
