//! A data directory: made once and whole, and served by one process at a time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::error::DataDirError;
use super::files::{
    IDENTITY, LOCK, OWNER, check_parts, draft_of, failed, lock, lock_found, read_identity, sync_folder, write_identity,
    write_whole,
};
use super::types::{Identity, MemberAddress};

/// The file that says that the directory is being made: what stands beside it without an identity was never served.
const UNFINISHED: &str = "unfinished";

/// A data directory whose lock this process holds.
#[derive(Debug)]
pub struct DataDir {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is.
    pub identity: Identity,
    _lock: File,
}

/// A data directory that was looked at and not opened.
#[derive(Debug)]
pub struct Looked {
    /// Whose it is.
    pub identity: Identity,
    /// Its lock, or why this process does not have it.
    pub lock: Result<HeldLock, DataDirError>,
}

/// The lock of a data directory, held until this is dropped; none where it has no file for one.
#[derive(Debug)]
pub struct HeldLock {
    _lock: Option<File>,
}

/// A data directory that is being made, locked until it is done. Dropped before [`Self::finish`], it can be begun again.
#[derive(Debug)]
pub struct UnfinishedDataDir {
    path: PathBuf,
    _lock: File,
}

impl UnfinishedDataDir {
    /// Begins a new data directory, in a place that is absent, empty, or holds no more than one that was begun and not
    /// finished. `parts` are the folders that the storage keeps in it; once they are filled, [`Self::finish`] makes it one.
    ///
    /// # Errors
    /// Where something else is there, another process is at it, or the disk fails.
    pub fn begin(path: &Path, parts: &[&str]) -> Result<Self, DataDirError> {
        fs::create_dir_all(path).map_err(failed("make", path))?;
        // Nothing is written beside what is not ours, not even a lock.
        check_free(path, parts)?;
        let lock = lock(path)?;
        check_free(path, parts)?;
        remove_unfinished(path, parts)?;
        write_whole(path, UNFINISHED, &[])?;
        for part in parts {
            let folder = path.join(part);
            fs::create_dir(&folder).map_err(failed("make", &folder))?;
            sync_folder(&folder)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Writes the identity, last and whole, since a directory without one was never finished; durable when this returns.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn finish(self, identity: &Identity, parts: &[&str]) -> Result<(), DataDirError> {
        let path = self.path.as_path();
        for part in parts {
            write_whole(&path.join(part), OWNER, identity.incarnation.to_string().as_bytes())?;
        }
        write_identity(path, identity)?;
        remove_mark(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        Ok(())
    }
}

impl DataDir {
    /// Whether the data directory at `path` was made, for this node. Without its lock: another process may serve it.
    ///
    /// # Errors
    /// Where it is another's, damaged, or of another format.
    pub fn is_made_for(path: &Path, parts: &[&str], node: u64, cluster: Uuid) -> Result<bool, DataDirError> {
        let identity = match read_identity(path) {
            Ok(identity) => identity,
            Err(DataDirError::Absent(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        check_parts(path, &identity, parts)?;
        expect(path, &identity, Some(node), Some(cluster)).map(|()| true)
    }

    /// Refuses a place in which [`UnfinishedDataDir::begin`] would find something that is not its own; changes nothing.
    ///
    /// # Errors
    /// Where there is such a thing, or the place cannot be read.
    pub fn check_free(path: &Path, parts: &[&str]) -> Result<(), DataDirError> {
        if path.try_exists().map_err(failed("read", path))? { check_free(path, parts) } else { Ok(()) }
    }

    /// Reads whose a data directory is, and takes its lock where no other process holds it; changes nothing.
    ///
    /// # Errors
    /// Where it is absent, damaged, of another format, or another node's. That its lock is held is no error here.
    pub fn look(path: &Path, parts: &[&str], node: Option<u64>, cluster: Option<Uuid>) -> Result<Looked, DataDirError> {
        let identity = read_identity(path)?;
        check_parts(path, &identity, parts)?;
        expect(path, &identity, node, cluster)?;
        Ok(Looked { identity, lock: lock_found(path).map(|lock| HeldLock { _lock: lock }) })
    }

    /// Opens and locks a data directory; refuses what is absent, damaged, locked, or another format's.
    pub fn open(path: &Path, parts: &[&str]) -> Result<Self, DataDirError> {
        let identity = read_identity(path)?;
        check_parts(path, &identity, parts)?;
        let lock = lock(path)?;
        // It was finished: what is missing of it later is damage.
        remove_mark(path)?;
        Ok(Self { path: path.to_owned(), identity, _lock: lock })
    }

    /// Makes it that of another cluster, whole or not at all; durable when it returns. The node and the incarnation stay.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn change_cluster(&mut self, cluster: Uuid, epoch: u32, address: MemberAddress) -> Result<(), DataDirError> {
        let members = BTreeMap::from([(self.identity.node, address)]);
        let identity = Identity { cluster, epoch, members, joined: None, ..self.identity.clone() };
        write_identity(&self.path, &identity)?;
        self.identity = identity;
        Ok(())
    }

    /// Refuses another node's directory, where the operator said whose it must be.
    ///
    /// # Errors
    /// Where it is another's.
    pub fn expect(&self, node: Option<u64>, cluster: Option<Uuid>) -> Result<(), DataDirError> {
        expect(&self.path, &self.identity, node, cluster)
    }
}

/// Refuses a place that holds more than a data directory that was begun and not finished.
fn check_free(path: &Path, parts: &[&str]) -> Result<(), DataDirError> {
    let not_empty = || DataDirError::NotEmpty(path.to_owned());
    let (mut has_parts, mut is_marked) = (false, false);
    for entry in fs::read_dir(path).map_err(failed("read", path))? {
        let name = entry.map_err(failed("read", path))?.file_name();
        let name = name.to_str().ok_or_else(not_empty)?;
        if name == UNFINISHED {
            is_marked = true;
        } else if parts.contains(&name) || name == draft_of(IDENTITY) {
            has_parts = true;
        } else if name != LOCK && name != draft_of(UNFINISHED) {
            return Err(not_empty());
        }
    }
    // Without the mark they may be those of a node whose identity was lost: its votes and entries are kept.
    if has_parts && !is_marked { Err(not_empty()) } else { Ok(()) }
}

/// Removes what a directory that was not finished left, the mark last.
fn remove_unfinished(path: &Path, parts: &[&str]) -> Result<(), DataDirError> {
    for part in parts {
        let folder = path.join(part);
        present(fs::remove_dir_all(&folder)).map_err(failed("remove", &folder))?;
    }
    let draft = path.join(draft_of(IDENTITY));
    present(fs::remove_file(&draft)).map_err(failed("remove", &draft))?;
    sync_folder(path)?;
    remove_mark(path)
}

fn remove_mark(path: &Path) -> Result<(), DataDirError> {
    let mark = path.join(UNFINISHED);
    present(fs::remove_file(&mark)).map_err(failed("remove", &mark))?;
    sync_folder(path)
}

/// A success also where there was nothing to remove.
fn present(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn expect(path: &Path, identity: &Identity, node: Option<u64>, cluster: Option<Uuid>) -> Result<(), DataDirError> {
    let fits =
        node.is_none_or(|node| node == identity.node) && cluster.is_none_or(|cluster| cluster == identity.cluster);
    if fits {
        return Ok(());
    }
    Err(DataDirError::Foreign {
        path: path.to_owned(),
        found: format!("node {} of cluster {}", identity.node, identity.cluster),
        expected: format!("node {} of cluster {}", node.unwrap_or(identity.node), cluster.unwrap_or(identity.cluster)),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::files::{OWNER, read_identity};
    use super::super::types::{FORMAT, GenesisSettings, Joined, MemberAddress};
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
            joined: None,
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
        UnfinishedDataDir::begin(&path, &["log"]).unwrap().finish(&identity(), &["log"]).unwrap();
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
        let refused = |path: &Path| matches!(UnfinishedDataDir::begin(path, &["log"]), Err(DataDirError::NotEmpty(_)));
        assert!(refused(&path));
        fs::remove_file(path.join(IDENTITY)).unwrap();
        assert!(refused(&path) && path.join("log").join(OWNER).exists(), "its identity alone is lost");
        let foreign = tempfile::tempdir().unwrap();
        fs::write(foreign.path().join("letter.txt"), "mine").unwrap();
        assert!(refused(foreign.path()));
        assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1, "nothing is put beside it");
    }

    #[test]
    fn a_directory_that_was_not_finished_is_made_anew() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("n1");
        let first = UnfinishedDataDir::begin(&path, &["log"]).unwrap();
        fs::write(path.join("log").join("db"), "of the first").unwrap();
        fs::write(path.join("identity.json.new"), "half").unwrap();
        assert!(matches!(UnfinishedDataDir::begin(&path, &["log"]), Err(DataDirError::Locked(_))), "it is at work");
        let is_made = |node| DataDir::is_made_for(&path, &["log"], node, Uuid::from_u128(1));
        assert!(!is_made(1).unwrap());
        drop(first);
        DataDir::check_free(&path, &["log"]).unwrap();
        let second = UnfinishedDataDir::begin(&path, &["log"]).unwrap();
        assert!(!path.join("log").join("db").exists());
        second.finish(&identity(), &["log"]).unwrap();
        assert_eq!((is_made(1).unwrap(), read_identity(&path).unwrap()), (true, identity()));
        assert!(matches!(is_made(2), Err(DataDirError::Foreign { .. })));
        assert!(!path.join(UNFINISHED).exists());

        // A power cut between the identity and the end of the mark.
        fs::write(path.join(UNFINISHED), "").unwrap();
        assert!(matches!(UnfinishedDataDir::begin(&path, &["log"]), Err(DataDirError::NotEmpty(_))));
        drop(DataDir::open(&path, &["log"]).unwrap());
        assert!(!path.join(UNFINISHED).exists());
    }

    #[test]
    fn the_checksum_of_a_founding_member_is_that_of_earlier_builds() {
        let json = serde_json::to_string(&identity()).unwrap();
        assert!(!json.contains("joined"), "{json}");
        let address = MemberAddress { api: "127.0.0.1:7104".into(), peer: "127.0.0.1:7124".into() };
        let joined = Joined { address: address.clone(), members_index: 9 };
        let joined = Identity { node: 4, joined: Some(joined), ..identity() };
        assert_eq!((joined.address(), identity().address()), (Some(&address), identity().members.get(&1)));
        let again: Identity = serde_json::from_str(&serde_json::to_string(&joined).unwrap()).unwrap();
        assert_eq!(again, joined);
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
