//! sled behind the disk trait: one folder is one database.
//!
//! sled's `flush()` ends in `sync_file_range`, which is no fsync; so a sync here is `flush()` and then `sync_data` on an
//! own handle of sled's file `db`. Values beyond some size would go to files in `blobs/`, which sled never syncs:
//! segments of 2 MiB and small values keep that folder empty, and it is checked when a database is opened.
//!
//! sled also reuses a segment once what was moved out of it is written, not once that is durable. So no more than a
//! segment's worth is written without a sync, or a power cut in a large checkpoint could cost what was durable before.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use super::files::{sync_file, sync_folder};
use super::high_water::HighWaterFile;
use super::{Batch, Disk, Disks, ImageName, ImageWriter, Pair, VALUE_BYTES_MAX, image_file};
use crate::storage::error::StorageError;

/// See the head of this file; fixed for the life of a database.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// Most bytes of keys and values written without a sync, one batch excepted. Source: sled writes 3.7 times what it is given
/// (measured with values of 6 KB), and reuses space by the segment.
const UNSYNCED_BYTES_MAX: u64 = SEGMENT_BYTES as u64 / 4;

/// How often and how far apart to ask again for sled's lock: a thread of sled's own lets go of it a little after the
/// last handle was dropped.
const LOCK_TRIES: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// One sled database.
struct SledDisk {
    place: PathBuf,
    db: sled::Db,
    file: File,
    high_water: HighWaterFile,
    /// Bytes written since the last sync.
    unsynced: AtomicU64,
}

impl fmt::Debug for SledDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SledDisk({})", self.place.display())
    }
}

/// Opens the database in `folder`, or makes it. `cache_bytes` bounds sled's page cache.
///
/// # Errors
/// Where the folder cannot be written, sled refuses, or `blobs/` is not empty.
pub fn open_sled(folder: &Path, cache_bytes: u64) -> Result<Arc<dyn Disk>, StorageError> {
    Ok(Arc::new(open_disk(folder, cache_bytes)?))
}

fn open_disk(folder: &Path, cache_bytes: u64) -> Result<SledDisk, StorageError> {
    fs::create_dir_all(folder).map_err(|error| StorageError::io("make", folder.display(), &error))?;
    let db_path = folder.join("db");
    // What a killed process left in the page cache counts as written from now on, so it has to survive from now on;
    // and sled writes a synced summary of it while it opens, which may not run ahead of the file itself.
    if db_path.exists() {
        sync_data(&open_file(&db_path)?, &db_path)?;
    }
    let db = open_database(folder, cache_bytes)?;
    let file = open_file(&db_path)?;
    let disk = SledDisk {
        place: folder.to_owned(),
        db,
        file,
        high_water: HighWaterFile::open(folder)?,
        unsynced: AtomicU64::new(0),
    };
    disk.check_no_blobs()?;
    disk.flush_and_sync()?;
    sync_folder(&folder.join("blobs"))?;
    sync_file(&folder.join("conf"))?;
    sync_folder(folder)?;
    if let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    Ok(disk)
}

#[expect(clippy::disallowed_methods, reason = "sled's file lock has no event for when it is free")]
fn open_database(folder: &Path, cache_bytes: u64) -> Result<sled::Db, StorageError> {
    let config = sled::Config::new()
        .path(folder)
        .mode(sled::Mode::LowSpace)
        .segment_size(SEGMENT_BYTES)
        .cache_capacity(cache_bytes)
        .flush_every_ms(None)
        .use_compression(false)
        .print_profile_on_drop(false);
    let mut tries = 1;
    loop {
        match guarded(folder, || config.open())? {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error)) if is_lock(&error) && tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) => return Err(database(folder, &error)),
        }
    }
}

/// Runs a piece of sled, which panics over some damage where others are an error.
fn guarded<T>(place: &Path, work: impl FnOnce() -> T) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let reason = panic.downcast_ref::<String>().map(String::as_str);
        let reason = reason.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        StorageError::damaged(place.display(), format!("the database gave up over it: {reason}"))
    })
}

fn is_lock(error: &std::io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn database(place: &Path, error: &sled::Error) -> StorageError {
    let place = place.display().to_string();
    match error {
        sled::Error::Corruption { .. } => StorageError::Damaged { place, reason: error.to_string() },
        sled::Error::Io(_)
        | sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => StorageError::Database { place, reason: error.to_string() },
    }
}

impl SledDisk {
    fn failed(&self, error: &sled::Error) -> StorageError {
        database(&self.place, error)
    }

    fn flush_and_sync(&self) -> Result<(), StorageError> {
        // Before the flush: what another thread writes meanwhile may not be in it.
        self.unsynced.store(0, Ordering::Relaxed);
        guarded(&self.place, || self.db.flush())?.map_err(|error| self.failed(&error))?;
        sync_data(&self.file, &self.place)
    }

    /// Counts `bytes` that are to be written now, after a sync where they would be too many.
    fn count_unsynced(&self, bytes: usize) -> Result<(), StorageError> {
        let bytes = bytes as u64;
        let before = self.unsynced.load(Ordering::Relaxed);
        if before > 0 && before + bytes > UNSYNCED_BYTES_MAX {
            self.flush_and_sync()?;
        }
        self.unsynced.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn check_no_blobs(&self) -> Result<(), StorageError> {
        let blobs = self.place.join("blobs");
        let mut files = fs::read_dir(&blobs).map_err(|error| StorageError::io("read", blobs.display(), &error))?;
        match files.next() {
            None => Ok(()),
            Some(_) => Err(StorageError::damaged(blobs.display(), "it must be empty, or values were never synced")),
        }
    }

    fn check_value(value: &[u8]) -> Result<(), StorageError> {
        if value.len() <= VALUE_BYTES_MAX {
            return Ok(());
        }
        let reason = format!("{} bytes, more than {VALUE_BYTES_MAX}", value.len());
        Err(StorageError::Form { what: "a stored value".to_owned(), reason })
    }
}

impl Disk for SledDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let value = guarded(&self.place, || self.db.get(key))?.map_err(|error| self.failed(&error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], until: &[u8], most: usize) -> Result<Vec<Pair>, StorageError> {
        guarded(&self.place, || {
            let found = self.db.range(from..until).take(most);
            found.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect::<Result<_, _>>()
        })?
        .map_err(|error| self.failed(&error))
    }

    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, StorageError> {
        guarded(&self.place, || self.db.range(from..until).next_back().transpose())?
            .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
            .map_err(|error| self.failed(&error))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), StorageError> {
        Self::check_value(&value)?;
        self.count_unsynced(key.len() + value.len())?;
        guarded(&self.place, || self.db.insert(key, value))?.map_err(|error| self.failed(&error))?;
        Ok(())
    }

    fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let mut writes = sled::Batch::default();
        let mut bytes = 0;
        for (key, value) in batch.into_writes() {
            bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            match value {
                Some(value) => {
                    Self::check_value(&value)?;
                    writes.insert(key, value);
                }
                None => writes.remove(key),
            }
        }
        self.count_unsynced(bytes)?;
        guarded(&self.place, || self.db.apply_batch(writes))?.map_err(|error| self.failed(&error))
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        // It blocks: the log's writer and a checkpoint have threads of their own.
        Box::pin(std::future::ready(self.flush_and_sync()))
    }

    fn high_water(&self) -> Result<Option<Vec<u8>>, StorageError> {
        self.high_water.read()
    }

    fn write_high_water(&self, high_water: &[u8]) -> Result<(), StorageError> {
        self.high_water.write(high_water)
    }

    fn sync_high_water(&self) -> Result<(), StorageError> {
        self.high_water.sync()
    }

    fn open_image(&self, name: ImageName) -> Result<Option<Box<dyn Read + Send>>, StorageError> {
        image_file::open(&self.place, name)
    }

    fn create_image(&self, name: ImageName) -> Result<Box<dyn ImageWriter>, StorageError> {
        image_file::create(&self.place, name)
    }

    fn remove_image(&self, name: ImageName) -> Result<(), StorageError> {
        image_file::remove(&self.place, name)
    }

    fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        let found = self.file.metadata().map_err(|error| StorageError::io("measure", self.place.display(), &error))?;
        Ok(found.len().max(found.blocks() * 512))
    }
}

/// What a discarded database's folder is called until its files are gone.
const DISCARDED: &str = ".discarded";

/// A folder of sled databases, a subfolder each.
#[derive(Debug)]
pub struct SledDisks {
    folder: PathBuf,
    cache_bytes: u64,
}

impl SledDisks {
    /// The databases in `folder`, which must exist; `cache_bytes` bounds the page cache of each.
    pub fn new(folder: PathBuf, cache_bytes: u64) -> Self {
        Self { folder, cache_bytes }
    }
}

impl Disks for SledDisks {
    fn list(&self) -> Result<Vec<String>, StorageError> {
        let failed = |error: std::io::Error| StorageError::io("read", self.folder.display(), &error);
        let mut names = Vec::new();
        for found in fs::read_dir(&self.folder).map_err(failed)? {
            let found = found.map_err(failed)?;
            if !found.file_type().map_err(failed)?.is_dir() {
                continue;
            }
            let name = found.file_name().to_string_lossy().into_owned();
            if name.ends_with(DISCARDED) {
                remove_folder(&found.path())?;
            } else {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Disk>, StorageError> {
        open_sled(&self.folder.join(name), self.cache_bytes)
    }

    fn discard(&self, name: &str, last: Arc<dyn Disk>) -> Result<(), StorageError> {
        let (folder, discarded) = (self.folder.join(name), self.folder.join(format!("{name}{DISCARDED}")));
        drop(last);
        // Removing the files one by one is not atomic: a crash in between would leave what looks like a damaged database.
        fs::rename(&folder, &discarded).map_err(|error| StorageError::io("rename", folder.display(), &error))?;
        sync_folder(&self.folder)?;
        remove_folder(&discarded)
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }
}

fn remove_folder(path: &Path) -> Result<(), StorageError> {
    fs::remove_dir_all(path).map_err(|error| StorageError::io("remove", path.display(), &error))
}

fn open_file(path: &Path) -> Result<File, StorageError> {
    File::options().read(true).write(true).open(path).map_err(|error| StorageError::io("open", path.display(), &error))
}

fn sync_data(file: &File, place: &Path) -> Result<(), StorageError> {
    file.sync_data().map_err(|error| StorageError::io("sync", place.display(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_segment_is_written_without_a_sync() {
        let temp = tempfile::tempdir().unwrap();
        let disk = open_disk(temp.path(), 8 * 1024 * 1024).unwrap();
        for number in 0..2_000_u64 {
            let value: Vec<u8> = blake3::hash(&number.to_be_bytes()).as_bytes().repeat(200);
            disk.insert(&number.to_be_bytes(), value).unwrap();
            assert!(disk.unsynced.load(Ordering::Relaxed) <= UNSYNCED_BYTES_MAX, "value {number}");
        }
        disk.flush_and_sync().unwrap();
        let mut batch = Batch::default();
        (0..50_u64).for_each(|number| batch.insert(number.to_be_bytes().to_vec(), vec![1; 8_000]));
        disk.apply(batch.clone()).unwrap();
        let once = disk.unsynced.load(Ordering::Relaxed);
        assert_eq!(once, 400_400);
        disk.apply(batch).unwrap();
        assert_eq!(disk.unsynced.load(Ordering::Relaxed), once, "a batch counts as well");
    }

    #[test]
    fn what_a_crash_left_of_a_discarded_database_is_no_database() {
        let temp = tempfile::tempdir().unwrap();
        let disks = SledDisks::new(temp.path().to_owned(), 1024 * 1024);
        drop(disks.open("2").unwrap());
        let left = temp.path().join(format!("1{DISCARDED}"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("conf"), b"half of it").unwrap();
        assert_eq!(disks.list().unwrap(), ["2"]);
        assert!(!left.exists());
    }
}
