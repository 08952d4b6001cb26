//! Who this node is: the data directory's identity file and lock.
//!
//! Invariant: only `init` makes a data directory, and a process serves one only while it holds its lock; so a lost or
//! foreign disk is a refusal, never an empty ledger.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The layout of a data directory that this build reads and writes.
pub const FORMAT: u32 = 2;

/// The file in each part of a data directory that holds the directory's incarnation.
const OWNER: &str = "owner";

/// A node's addresses, as its peers and clients dial them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberAddress {
    /// Host and port of its HTTP API.
    pub api: String,
    /// Host and port of its peer link.
    pub peer: String,
}

/// What the genesis fixes; the same on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSettings {
    /// The currency's name.
    pub currency: String,
    /// Decimal places of an amount, 0 to 4.
    pub places: u8,
    /// How long an idempotency key is remembered, in milliseconds.
    pub key_window_ms: u64,
    /// How many idempotency keys are remembered at most.
    pub keys_max: u64,
    /// BLAKE3 of the first admin key, 64 hexadecimal digits.
    pub admin_key_hash: String,
}

/// What `init` fixed permanently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// See [`FORMAT`].
    pub format: u32,
    /// The cluster's id: of its members, their link and their certificates.
    pub cluster: Uuid,
    /// The ledger's id: the cluster's, where the ledger was never restored.
    pub ledger: Uuid,
    /// 1, and one more for each restore of the ledger.
    pub epoch: u32,
    /// This node's number.
    pub node: u64,
    /// Drawn at `init`: a wiped node comes back with another, and is refused.
    pub incarnation: Uuid,
    /// All members that the cluster is founded with, this node among them.
    pub members: BTreeMap<u64, MemberAddress>,
    /// What the genesis fixes.
    pub genesis: GenesisSettings,
}

/// The identity file: the identity and a checksum over its JSON, so that a flipped bit cannot make another node.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    identity: Identity,
    blake3: String,
}

/// Why a data directory is not made or not served. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// `init` where something is already.
    #[error("{0} is not empty: `init` makes a new data directory and never changes one; give an empty or absent path")]
    NotEmpty(PathBuf),
    /// `run` where nothing is.
    #[error(
        "{0} is no data directory of a node (no identity.json): make one with `etebar-node init`; if its disk was \
         lost, do not: the others refuse an empty node under its old id, and continue without it while they are a majority"
    )]
    Absent(PathBuf),
    /// A part is gone.
    #[error(
        "{0} is missing: this data directory is damaged; keep it, do not run `init` again: until what is missing is put \
         back, this node does not start, and the others continue while they are a majority"
    )]
    PartMissing(PathBuf),
    /// The identity file cannot be trusted.
    #[error(
        "{path} is damaged ({what}): keep the directory, do not run `init` again: until it is repaired, this node \
         does not start, and the others continue while they are a majority"
    )]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Made by another version.
    #[error("{path} has format {found}, this build reads format {FORMAT}: run the version that made it")]
    OtherFormat {
        /// The file or folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another node's directory.
    #[error("{path} belongs to {found}, not to {expected}: check --data-dir, --id and --cluster-id")]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Another process serves it.
    #[error("{0} is served by another process (its lock is held): stop that one first")]
    Locked(PathBuf),
    /// The file system failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// A data directory whose lock this process holds.
#[derive(Debug)]
pub struct DataDir {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is.
    pub identity: Identity,
    _lock: File,
}

impl DataDir {
    /// Begins a new data directory, in an absent or empty place. `parts` are the folders that the storage keeps in it;
    /// once they are filled, [`Self::finish`] makes it one.
    pub fn prepare(path: &Path, parts: &[&str]) -> Result<(), DataDirError> {
        fs::create_dir_all(path).map_err(failed("make", path))?;
        let mut entries = fs::read_dir(path).map_err(failed("read", path))?;
        if entries.next().is_some() {
            return Err(DataDirError::NotEmpty(path.to_owned()));
        }
        for part in parts {
            let folder = path.join(part);
            fs::create_dir(&folder).map_err(failed("make", &folder))?;
            sync_folder(&folder)?;
        }
        Ok(())
    }

    /// Writes the identity, last and whole, since a directory without one was never finished; durable when this returns.
    pub fn finish(path: &Path, identity: &Identity, parts: &[&str]) -> Result<(), DataDirError> {
        let lock = path.join("lock");
        File::create(&lock).map_err(failed("make", &lock))?;
        for part in parts {
            write_whole(&path.join(part), OWNER, identity.incarnation.to_string().as_bytes())?;
        }
        write_identity(path, identity)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        Ok(())
    }

    /// Opens and locks a data directory; refuses what is absent, damaged, locked, or another format's.
    pub fn open(path: &Path, parts: &[&str]) -> Result<Self, DataDirError> {
        let identity = read_identity(path)?;
        for part in parts {
            let folder = path.join(part);
            if !folder.is_dir() {
                return Err(DataDirError::PartMissing(folder));
            }
            check_owner(&folder, &identity)?;
        }
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), identity, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
        }
    }

    /// Refuses another node's directory, where the operator said whose it must be.
    pub fn expect(&self, node: Option<u64>, cluster: Option<Uuid>) -> Result<(), DataDirError> {
        let fits = node.is_none_or(|node| node == self.identity.node)
            && cluster.is_none_or(|cluster| cluster == self.identity.cluster);
        if fits {
            return Ok(());
        }
        Err(DataDirError::Foreign {
            path: self.path.clone(),
            found: format!("node {} of cluster {}", self.identity.node, self.identity.cluster),
            expected: format!(
                "node {} of cluster {}",
                node.unwrap_or(self.identity.node),
                cluster.unwrap_or(self.identity.cluster)
            ),
        })
    }
}

fn write_identity(path: &Path, identity: &Identity) -> Result<(), DataDirError> {
    let blake3 = checksum(path, identity)?;
    let file = IdentityFile { identity: identity.clone(), blake3 };
    let json = serde_json::to_vec_pretty(&file).map_err(|error| damaged(path, &error))?;
    write_whole(path, "identity.json", &json)
}

/// Puts a file in place whole or not at all; durable when this returns.
fn write_whole(folder: &Path, name: &str, content: &[u8]) -> Result<(), DataDirError> {
    let (draft, target) = (folder.join(format!("{name}.new")), folder.join(name));
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

fn read_identity(path: &Path) -> Result<Identity, DataDirError> {
    let target = path.join("identity.json");
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

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> DataDirError + 'a {
    move |source| DataDirError::Io { action, path: path.to_owned(), source }
}

fn sync_folder(path: &Path) -> Result<(), DataDirError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let address = MemberAddress { api: "127.0.0.1:7101".into(), peer: "127.0.0.1:7121".into() };
        Identity {
            format: FORMAT,
            cluster: Uuid::from_u128(1),
            ledger: Uuid::from_u128(1),
            epoch: 1,
            node: 1,
            incarnation: Uuid::from_u128(2),
            members: BTreeMap::from([(1, address)]),
            genesis: GenesisSettings {
                currency: "IRT".into(),
                places: 0,
                key_window_ms: 1,
                keys_max: 1,
                admin_key_hash: "00".repeat(32),
            },
        }
    }

    fn made() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("n1");
        DataDir::prepare(&path, &["log"]).unwrap();
        DataDir::finish(&path, &identity(), &["log"]).unwrap();
        (temp, path)
    }

    #[test]
    fn a_directory_that_was_made_opens_as_it_was() {
        let (_temp, path) = made();
        assert_eq!(DataDir::open(&path, &["log"]).unwrap().identity, identity());
    }

    #[test]
    fn init_never_changes_a_directory_that_is_there() {
        let (_temp, path) = made();
        assert!(matches!(DataDir::prepare(&path, &["log"]), Err(DataDirError::NotEmpty(_))));
    }

    #[test]
    fn an_absent_directory_or_a_missing_part_is_refused() {
        let (temp, path) = made();
        assert!(matches!(DataDir::open(&temp.path().join("n2"), &[]), Err(DataDirError::Absent(_))));
        assert!(matches!(DataDir::open(&path, &["log", "history"]), Err(DataDirError::PartMissing(_))));
    }

    #[test]
    fn a_changed_identity_is_refused() {
        let (_temp, path) = made();
        let file = path.join("identity.json");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"node\": 1", "\"node\": 2")).unwrap();
        assert!(matches!(DataDir::open(&path, &["log"]), Err(DataDirError::Damaged { .. })));
        fs::write(&file, text.replace("\"format\": 2", "\"format\": 9")).unwrap();
        assert!(matches!(DataDir::open(&path, &["log"]), Err(DataDirError::OtherFormat { found: 9, .. })));
    }

    #[test]
    fn a_part_of_another_data_directory_is_refused() {
        let (_temp, path) = made();
        let owner = path.join("log").join(OWNER);
        fs::write(&owner, Uuid::from_u128(9).to_string()).unwrap();
        assert!(matches!(DataDir::open(&path, &["log"]), Err(DataDirError::Foreign { .. })));
        fs::remove_file(&owner).unwrap();
        assert!(matches!(DataDir::open(&path, &["log"]), Err(DataDirError::PartMissing(_))));
    }

    #[test]
    fn a_directory_is_served_by_one_process() {
        let (_temp, path) = made();
        let first = DataDir::open(&path, &["log"]).unwrap();
        assert!(matches!(DataDir::open(&path, &["log"]), Err(DataDirError::Locked(_))));
        assert!(matches!(first.expect(Some(2), None), Err(DataDirError::Foreign { .. })));
        assert!(first.expect(Some(1), Some(Uuid::from_u128(1))).is_ok());
    }
}
