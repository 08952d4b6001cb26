//! The high-water mark of a disk in a file of one sector.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::HIGH_WATER_BYTES_MAX;
use crate::storage::error::StorageError;
use crate::storage::format::{Kind, codec};

/// The key that high-water marks are sealed under.
const KEY: &[u8] = b"high-water";

/// Bytes of a sector, which a disk writes whole or not at all.
const SECTOR: usize = 512;

/// The file that holds a high-water mark: its length in two bytes, then the sealed mark, then zeros.
#[derive(Debug)]
pub(crate) struct HighWaterFile {
    path: PathBuf,
    file: File,
}

impl HighWaterFile {
    /// Opens the high-water mark of the disk in `folder`, or makes an empty one.
    pub(crate) fn open(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join("high-water");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| StorageError::io("open", path.display(), &error))?;
        Ok(Self { path, file })
    }

    /// The high-water mark; none where there is no whole one, as after a power cut just after the disk was made.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, StorageError> {
        let mut sector = [0; SECTOR];
        match self.file.read_exact_at(&mut sector, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(self.failed("read", &error)),
        }
        let [high, low, rest @ ..] = sector;
        let sealed = rest.get(..usize::from(u16::from_be_bytes([high, low])));
        let high_water = sealed.and_then(|sealed| codec::unseal(Kind::HighWater, KEY, sealed, String::new).ok());
        Ok(high_water.map(<[u8]>::to_vec))
    }

    /// Replaces the high-water mark.
    pub(crate) fn write(&self, high_water: &[u8]) -> Result<(), StorageError> {
        assert!(high_water.len() <= HIGH_WATER_BYTES_MAX, "a high-water mark fits in a sector");
        let sealed = codec::seal(Kind::HighWater, KEY, high_water);
        let length = u16::try_from(sealed.len()).expect("a high-water mark fits in a sector");
        let mut sector = [0; SECTOR];
        sector[..2].copy_from_slice(&length.to_be_bytes());
        sector[2..2 + sealed.len()].copy_from_slice(&sealed);
        self.file.write_all_at(&sector, 0).map_err(|error| self.failed("write", &error))
    }

    /// Makes the high-water mark survive a power cut.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.file.sync_data().map_err(|error| self.failed("sync", &error))
    }

    fn failed(&self, doing: &'static str, error: &std::io::Error) -> StorageError {
        StorageError::io(doing, self.path.display(), error)
    }
}
