//! The folder in which a backup is made before it is uploaded. It outlives the program, so that a run goes on where the one
//! before it was cut, and it keeps the files that `latest` names, so that an increment onto them downloads none.
//!
//! `next.backup` (and `next.backup.part` before) is what is under way, `under-way.json` what it is of, `lock` is held while the
//! program runs.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::manifest::{Fingerprint, Manifest};
use super::place::ObjectName;
use crate::backup::download::Target;
use crate::backup::files::{BUFFER_BYTES, failed};
use crate::output::error::CliError;
use crate::output::whole_file::WholeFile;

/// For its owner's eyes alone: backups have every phone number.
const PRIVATE: (u32, u32) = (0o700, 0o600);
const NEXT: &str = "next.backup";
const STATE: &str = "under-way.json";
const LOCK: &str = "lock";
/// How old a backup may be that is gone on with. Source: the alert for an old one comes after 26 hours, and counts from when it
/// was verified, not from when it was begun.
const FRESH: Duration = Duration::from_hours(24);

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnderWay {
    /// When it was begun, by this machine's clock, in ms since the Unix epoch.
    begun_ms: u64,
    pub(super) goal: Goal,
    /// The upload, once it is begun.
    pub(super) upload: Option<Upload>,
}

/// Where a backup is to be, and what it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Goal {
    pub(super) storage: String,
    pub(super) place: String,
    pub(super) onto: Option<ObjectName>,
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) part_bytes: u64,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    pub(super) under_way: Option<UnderWay>,
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it, for this process alone.
    pub(super) fn open(path: &Path) -> Result<Folder, CliError> {
        make(path)?;
        let name = path.join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(PRIVATE.1);
        let lock = options.open(&name).map_err(|error| failed(&name, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CliError::local(format!("{}: another process makes a backup there", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(failed(&name, &error)),
        }
        let under_way = match fs::read(path.join(STATE)) {
            // One that cannot be read is none: it only saves work.
            Ok(text) => serde_json::from_slice(&text).ok(),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path.join(STATE), &error)),
        };
        Ok(Folder { path: path.to_owned(), under_way, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that is under way.
    pub(super) fn next(&self) -> PathBuf {
        self.path.join(NEXT)
    }

    /// Whether what is under way is this, and not too old to be of use.
    pub(super) fn goes_on_with(&self, goal: &Goal) -> bool {
        let now = now_ms();
        self.under_way
            .as_ref()
            .is_some_and(|under_way| under_way.goal == *goal && now.saturating_sub(under_way.begun_ms) < millis(FRESH))
    }

    /// Begins a backup: what an earlier run left of another one goes.
    pub(super) fn begin(&mut self, goal: Goal) -> Result<(), CliError> {
        self.discard()?;
        self.under_way = Some(UnderWay { begun_ms: now_ms(), goal, upload: None });
        self.save()
    }

    /// Notes the upload, or that there is none.
    pub(super) fn set_upload(&mut self, upload: Option<Upload>) -> Result<(), CliError> {
        if let Some(under_way) = &mut self.under_way {
            under_way.upload = upload;
        }
        self.save()
    }

    /// The backup is in its place: its file gets the name of its object, and only what `manifest` names is kept.
    pub(super) fn finish(&mut self, manifest: &Manifest) -> Result<(), CliError> {
        let (next, to) = (self.next(), self.path.join(manifest.object().as_str()));
        fs::rename(&next, &to).map_err(|error| failed(&next, &error))?;
        self.under_way = None;
        remove(&self.path.join(STATE))?;
        self.keep(Some(manifest))
    }

    /// Removes the files of backups that `manifest` does not name.
    pub(super) fn keep(&self, manifest: Option<&Manifest>) -> Result<(), CliError> {
        let kept = manifest.map_or_else(Vec::new, |manifest| manifest.files(&self.path));
        for entry in fs::read_dir(&self.path).map_err(|error| failed(&self.path, &error))? {
            let path = entry.map_err(|error| failed(&self.path, &error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let of_backup = name.strip_suffix(".part").unwrap_or(&name);
            let is_ours = of_backup != NEXT && ObjectName::try_from(of_backup.to_owned()).is_ok();
            if is_ours && !kept.contains(&path) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes what is under way, which is of no use.
    pub(super) fn discard(&self) -> Result<(), CliError> {
        let next = self.next();
        let part = Target { file: next.clone(), until: None, onto: Vec::new() }.part();
        remove(&next)?;
        remove(&part)
    }

    fn save(&self) -> Result<(), CliError> {
        let path = self.path.join(STATE);
        let text =
            serde_json::to_vec(&self.under_way).map_err(|error| CliError::local(format!("not JSON: {error}")))?;
        let written = WholeFile::private(&path).and_then(|mut file| {
            file.write_all(&text)?;
            file.put()
        });
        written.map(drop).map_err(|error| failed(&path, &error))
    }
}

/// Makes a folder for its owner's eyes alone, where there is none.
pub(super) fn make(path: &Path) -> Result<(), CliError> {
    DirBuilder::new().recursive(true).mode(PRIVATE.0).create(path).map_err(|error| failed(path, &error))
}

/// Reads a file to its end.
pub(super) fn fingerprint(path: &Path) -> Result<Fingerprint, CliError> {
    let (mut file, mut hasher) = (File::open(path).map_err(|error| failed(path, &error))?, blake3::Hasher::new());
    let (mut buffer, mut bytes) = (vec![0; BUFFER_BYTES], 0);
    loop {
        let read = file.read(&mut buffer).map_err(|error| failed(path, &error))?;
        if read == 0 {
            return Ok(Fingerprint { bytes, blake3: hasher.finalize().to_hex().to_string() });
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Removes a file, where there is one.
pub(super) fn remove(path: &Path) -> Result<(), CliError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path, &error)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the age of an unfinished run, which no node sees")]
fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
