//! What the log and the history ask of a disk, and no more; a simulation puts its model here.
//!
//! The promise: what was written before a [`Disk::sync`] that returned well survives a power cut. Of what was written
//! since, any part may be lost; only a [`Batch`] is there whole or not at all. Keys are in byte order.
//!
//! A disk also keeps a high-water mark, how far it got, apart from the map: a database may take damage for a torn end and
//! open shorter, without an error. Written after each sync and not synced itself, the mark is never ahead of what is
//! durable; it survives the process, and after a power cut it may be an older one. And it keeps images, which may be lost or
//! damaged at any time.

mod files;
mod free;
mod high_water;
mod image_file;
mod sled_disk;
pub(crate) mod watch;

use std::fmt::Debug;
use std::io::Read;
use std::sync::Arc;

use futures::future::BoxFuture;

pub use free::free_bytes;
pub use sled_disk::{SledDisks, open_sled};

use super::error::StorageError;

/// Largest value a disk takes, in bytes. Source: with segments of 2 MiB sled keeps values of up to 32 KB out of files
/// that it never syncs; a quarter of that leaves room for pages of several values.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Longest high-water mark, in bytes. Source: a disk writes a sector of 512 bytes whole or not at all.
pub const HIGH_WATER_BYTES_MAX: usize = 500;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Writes that happen together or not at all. The last write of a key counts.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.push((key, Some(value)));
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.push((key, None));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The writes in order: a key with its value, or with none where it is removed.
    pub fn into_writes(self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.writes
    }
}

/// Which of the images beside a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageName {
    /// That of the state.
    State,
    /// That of the audit.
    Audit,
}

impl ImageName {
    /// The name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::State => "image",
            Self::Audit => "audit-image",
        }
    }
}

/// One ordered map of bytes that survives.
pub trait Disk: Debug + Send + Sync {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The pairs from `from` (inclusive) to `until` (exclusive) in order, at most `most` of them.
    fn range(&self, from: &[u8], until: &[u8], most: usize) -> Result<Vec<Pair>, StorageError>;

    /// The last pair from `from` (inclusive) to `until` (exclusive).
    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, StorageError>;

    /// Sets `key` to `value`; does not hold up writers of other disks.
    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), StorageError>;

    /// Does all of `batch` or nothing.
    fn apply(&self, batch: Batch) -> Result<(), StorageError>;

    /// Makes all that was written survive. Where it fails, nothing more may be written.
    fn sync(&self) -> BoxFuture<'_, Result<(), StorageError>>;

    /// The last high-water mark that was written; none where there is no whole one.
    fn high_water(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Replaces the high-water mark; at most [`HIGH_WATER_BYTES_MAX`] bytes.
    fn write_high_water(&self, high_water: &[u8]) -> Result<(), StorageError>;

    /// Makes the high-water mark survive: before anything that it names is removed.
    fn sync_high_water(&self) -> Result<(), StorageError>;

    /// The image of this name that was kept last, from its beginning; none where there is none.
    fn open_image(&self, name: ImageName) -> Result<Option<Box<dyn Read + Send>>, StorageError>;

    /// Begins another image of this name, one at a time. It counts, in place of the one before, once it is kept; one that is
    /// dropped before is lost.
    fn create_image(&self, name: ImageName) -> Result<Box<dyn ImageWriter>, StorageError>;

    /// Removes the image of this name, where there is one.
    fn remove_image(&self, name: ImageName) -> Result<(), StorageError>;

    /// Bytes that it takes on the file system.
    fn bytes_on_disk(&self) -> Result<u64, StorageError>;
}

/// An image that is being written: bytes beside the map of a disk, which only save time.
pub trait ImageWriter: Send {
    /// Appends `bytes`.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError>;

    /// Makes it survive a power cut, whole, in place of the image before.
    fn keep(self: Box<Self>) -> Result<(), StorageError>;
}

/// A folder of disks with names.
pub trait Disks: Debug + Send + Sync {
    /// The names of all disks, in order.
    fn list(&self) -> Result<Vec<String>, StorageError>;

    /// Opens the disk `name`, with all that it holds synced: a process that was killed may have left some of it in the
    /// kernel's memory alone. Makes it where there is none, so that it outlives a power cut from its first sync on.
    fn open(&self, name: &str) -> Result<Arc<dyn Disk>, StorageError>;

    /// Removes the disk `name` and gives its space back. The caller brings the last handle to it.
    fn discard(&self, name: &str, last: Arc<dyn Disk>) -> Result<(), StorageError>;

    /// Where the folder is, for messages.
    fn place(&self) -> String;
}
