//! For tests and for `tests/simulation`: disks in memory that keep the promise of [`Disk`] and not more.
//!
//! A power cut loses a tail or any part of what was not synced (a write that was torn is one that sled's own checksums
//! drop, so it is lost whole). A disk may be slow, stall, fill up, fail a sync, and decay. What happens follows a seed.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};

use super::disk::{Batch, Disk, Disks, HIGH_WATER_BYTES_MAX, ImageName, ImageWriter, Pair};
use super::error::StorageError;

/// How often a stalled sync checks whether it may continue.
const STALL_LOOK: Duration = Duration::from_millis(5);

/// Entropy that repeats itself (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The numbers of this seed and place.
    pub fn new(seed: u64, place: u64) -> Self {
        let mut dice = Self(seed ^ place.wrapping_mul(0xd129_0ddb_53c4_3e49));
        dice.roll();
        dice
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// An index into `length` things.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(usize::MAX)
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True about once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is wrong with a folder of disks; nothing by default.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// How long a sync takes, in milliseconds: at least and at most. Not waited for at all where both are zero.
    pub sync_ms: (u64, u64),
    /// Syncs do not end.
    pub stalled: bool,
    /// The next sync fails, and all after it.
    pub syncs_fail: bool,
    /// Nothing can be written.
    pub full: bool,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// What is read: everything written.
    now: Map,
    /// What survives.
    synced: Map,
    /// What was written since.
    unsynced: Vec<Batch>,
    /// How many batches survive; those of `unsynced` come after them.
    durable: usize,
    /// Bytes of `now`.
    bytes: u64,
    high_water: Option<Vec<u8>>,
    durable_high_water: Option<Vec<u8>>,
    ever_synced: bool,
    images: BTreeMap<ImageName, Images>,
}

/// An image, and the one before.
#[derive(Debug, Default, Clone)]
struct Images {
    last: Option<Vec<u8>>,
    older: Option<Vec<u8>>,
}

impl Content {
    /// The oldest `batches` of what was not synced survive from now on.
    fn settle(&mut self, batches: usize) {
        for batch in self.unsynced.drain(..batches) {
            write(&mut self.synced, batch);
        }
        self.durable += batches;
        self.ever_synced = true;
    }
}

#[derive(Debug)]
struct Folder {
    disks: BTreeMap<String, Content>,
    health: Health,
    /// For the time that syncs take.
    dice: Dice,
}

/// A folder of disks in memory, which outlives the node that opened them. Clones share it.
#[derive(Debug, Clone)]
pub struct ModelDisks(Arc<Mutex<Folder>>);

#[derive(Debug)]
struct ModelDisk {
    name: String,
    of: ModelDisks,
}

impl Default for ModelDisks {
    fn default() -> Self {
        Self::new(Dice(0))
    }
}

impl ModelDisks {
    /// An empty, healthy folder; `dice` say how long its syncs take.
    pub fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(Folder { disks: BTreeMap::new(), health: Health::default(), dice })))
    }

    /// Another folder with a copy of one of its disks alone.
    #[cfg(any(test, feature = "fuzzing"))]
    #[must_use]
    pub fn only(&self, name: &str) -> Self {
        let content = self.lock().disks.get(name).cloned().unwrap_or_default();
        let only = Self::default();
        only.lock().disks.insert(name.to_owned(), content);
        only
    }

    fn lock(&self) -> MutexGuard<'_, Folder> {
        self.0.lock()
    }

    /// Changes what is wrong with the disks.
    pub fn set_health(&self, how: impl FnOnce(&mut Health)) {
        how(&mut self.lock().health);
    }

    /// Cuts the power: of each disk a tail or any part of what was not synced is lost, and a disk never synced perhaps whole.
    pub fn cut(&self, dice: &mut Dice) {
        let mut folder = self.lock();
        folder.disks.retain(|_, content| content.ever_synced || dice.once_in(2));
        for content in folder.disks.values_mut() {
            if dice.once_in(2) {
                content.high_water = content.durable_high_water.clone();
            }
            content.durable_high_water = content.high_water.clone();
            let mut unsynced = std::mem::take(&mut content.unsynced);
            if dice.once_in(2) {
                unsynced.truncate(dice.index(unsynced.len() + 1));
            } else {
                unsynced.retain(|_| dice.once_in(2));
            }
            for batch in unsynced {
                write(&mut content.synced, batch);
            }
            // What came through a power cut is on the disk.
            content.ever_synced = true;
            content.now = content.synced.clone();
            content.bytes = content.now.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        }
    }

    /// Does to the images what must cost no more than time: one is lost, cut, changed in one bit, or is the one before.
    pub fn spoil_images(&self, dice: &mut Dice) {
        for images in self.lock().disks.values_mut().flat_map(|content| content.images.values_mut()) {
            let Some(image) = &mut images.last else { continue };
            match dice.below(4) {
                0 => images.last = None,
                1 => image.truncate(dice.index(image.len())),
                2 => {
                    let at = dice.index(image.len());
                    image[at] ^= 1 << dice.below(8);
                }
                _ => images.last.clone_from(&images.older),
            }
        }
    }

    /// Loses everything, as a disk that was replaced.
    pub fn wipe(&self) {
        self.lock().disks.clear();
    }

    /// Lets every sync from now on fail.
    pub fn fail_syncs(&self) {
        self.set_health(|health| health.syncs_fail = true);
    }

    /// Changes one stored value as damage would.
    pub fn damage(&self, disk: &str, key: &[u8], how: impl FnOnce(&mut Option<Vec<u8>>)) {
        let mut folder = self.lock();
        let Some(content) = folder.disks.get_mut(disk) else { return };
        let mut value = content.synced.remove(key);
        content.now.remove(key);
        how(&mut value);
        if let Some(value) = value {
            content.now.insert(key.to_owned(), value.clone());
            content.synced.insert(key.to_owned(), value);
        }
    }

    /// Flips one bit of one stored value; the disk and the key that it hit.
    pub fn rot(&self, dice: &mut Dice) -> Option<(String, Vec<u8>)> {
        let (name, key, bit) = {
            let folder = self.lock();
            let values = folder.disks.values().map(|content| content.synced.len()).sum::<usize>();
            let mut places = folder
                .disks
                .iter()
                .flat_map(|(name, content)| content.synced.iter().map(move |(key, value)| (name, key, value)));
            let (name, key, value) = places.nth(dice.index(values.max(1)))?;
            (name.clone(), key.clone(), dice.index(value.len() * 8))
        };
        self.damage(&name, &key, |value| {
            if let Some(byte) = value.as_mut().and_then(|value| value.get_mut(bit / 8)) {
                *byte ^= 1 << (bit % 8);
            }
        });
        Some((name, key))
    }
}

/// Writes, and gives by how many bytes the map grew.
#[expect(clippy::cast_possible_wrap, reason = "a map in memory is shorter than 2^63 bytes")]
fn write(map: &mut Map, batch: Batch) -> i64 {
    let mut grown = 0;
    for (key, value) in batch.into_writes() {
        let key_bytes = key.len();
        let bytes = |value: Option<&Vec<u8>>| value.map_or(0, |value| (key_bytes + value.len()) as i64);
        grown += bytes(value.as_ref());
        let before = match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
        grown -= bytes(before.as_ref());
    }
    grown
}

impl ModelDisk {
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        work(self.of.lock().disks.get_mut(&self.name).expect("an open disk was not discarded"))
    }

    fn failed(&self, reason: &str) -> StorageError {
        StorageError::Database { place: self.name.clone(), reason: reason.to_owned() }
    }

    /// Waits as long as a sync takes now.
    async fn take_time(&self) {
        let takes_ms = {
            let mut folder = self.of.lock();
            let (least, most) = folder.health.sync_ms;
            if most == 0 { 0 } else { folder.dice.between(least, most) }
        };
        if takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
        }
        while self.of.lock().health.stalled {
            tokio::time::sleep(STALL_LOOK).await;
        }
    }
}

impl Disk for ModelDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.with(|content| content.now.get(key).cloned()))
    }

    fn range(&self, from: &[u8], until: &[u8], most: usize) -> Result<Vec<Pair>, StorageError> {
        Ok(self.with(|content| {
            let range = content.now.range(from.to_owned()..until.to_owned());
            range.take(most).map(|(key, value)| (key.clone(), value.clone())).collect()
        }))
    }

    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, StorageError> {
        Ok(self.with(|content| {
            let last = content.now.range(from.to_owned()..until.to_owned()).next_back();
            last.map(|(key, value)| (key.clone(), value.clone()))
        }))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.insert(key.to_owned(), value);
        self.apply(batch)
    }

    fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        if self.of.lock().health.full {
            return Err(self.failed("no space is left"));
        }
        self.with(|content| {
            let grown = write(&mut content.now, batch.clone());
            content.bytes = content.bytes.saturating_add_signed(grown);
            content.unsynced.push(batch);
        });
        Ok(())
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let written = self.with(|content| content.durable + content.unsynced.len());
            self.take_time().await;
            if self.of.lock().health.syncs_fail {
                return Err(self.failed("the sync failed"));
            }
            self.with(|content| {
                // Another sync may have made some of them survive meanwhile.
                content.settle(written.saturating_sub(content.durable));
            });
            Ok(())
        })
    }

    fn high_water(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.with(|content| content.high_water.clone()))
    }

    fn write_high_water(&self, high_water: &[u8]) -> Result<(), StorageError> {
        assert!(high_water.len() <= HIGH_WATER_BYTES_MAX, "{} bytes", high_water.len());
        self.with(|content| content.high_water = Some(high_water.to_owned()));
        Ok(())
    }

    fn sync_high_water(&self) -> Result<(), StorageError> {
        self.with(|content| content.durable_high_water = content.high_water.clone());
        Ok(())
    }

    fn open_image(&self, name: ImageName) -> Result<Option<Box<dyn Read + Send>>, StorageError> {
        let image = self.with(|content| content.images.get(&name).and_then(|images| images.last.clone()));
        Ok(image.map(|image| Box::new(Cursor::new(image)) as Box<dyn Read + Send>))
    }

    fn create_image(&self, name: ImageName) -> Result<Box<dyn ImageWriter>, StorageError> {
        let disk = Self { name: self.name.clone(), of: self.of.clone() };
        Ok(Box::new(ModelImage { disk, name, bytes: Vec::new() }))
    }

    fn remove_image(&self, name: ImageName) -> Result<(), StorageError> {
        self.with(|content| content.images.entry(name).or_default().last = None);
        Ok(())
    }

    fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        Ok(self.with(|content| content.bytes))
    }
}

/// Kept at once and whole, as a file that is synced and then renamed.
struct ModelImage {
    disk: ModelDisk,
    name: ImageName,
    bytes: Vec<u8>,
}

impl ImageWriter for ModelImage {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn keep(self: Box<Self>) -> Result<(), StorageError> {
        let Self { disk, name, bytes } = *self;
        let health = disk.of.lock().health;
        if health.full || health.syncs_fail {
            return Err(disk.failed("the image could not be synced"));
        }
        disk.with(|content| {
            let images = content.images.entry(name).or_default();
            images.older = images.last.replace(bytes);
        });
        Ok(())
    }
}

impl Disks for ModelDisks {
    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.lock().disks.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Disk>, StorageError> {
        let disk = ModelDisk { name: name.to_owned(), of: self.clone() };
        let mut folder = self.lock();
        let syncs_fail = folder.health.syncs_fail;
        match folder.disks.get_mut(name) {
            Some(_) if syncs_fail => return Err(disk.failed("the sync failed")),
            Some(content) => content.settle(content.unsynced.len()),
            None => drop(folder.disks.insert(name.to_owned(), Content::default())),
        }
        drop(folder);
        Ok(Arc::new(disk))
    }

    fn discard(&self, name: &str, last: Arc<dyn Disk>) -> Result<(), StorageError> {
        assert_eq!(Arc::strong_count(&last), 1, "a discarded disk has no other holder");
        self.lock().disks.remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub use samples::{entry, log_id};

#[cfg(any(test, feature = "fuzzing"))]
mod samples {
    use bytes::Bytes;
    use openraft::entry::RaftEntry;
    use openraft::vote::RaftLeaderIdExt;

    use crate::storage::types::{LogEntry, LogId, Payload, TypeConfig};

    /// The log id of `index` in `term`.
    pub fn log_id(term: u64, index: u64) -> LogId {
        LogId::new(<openraft::alias::LeaderIdOf<TypeConfig>>::new_committed(term, 1), index)
    }

    /// An entry with `bytes` bytes that distinguish it from others.
    pub fn entry(term: u64, index: u64, bytes: usize) -> LogEntry {
        let [.., index_byte] = index.to_be_bytes();
        let [.., term_byte] = term.to_be_bytes();
        let filling = index_byte.wrapping_mul(31).wrapping_add(term_byte);
        let payload = Payload(Bytes::from(vec![filling; bytes]));
        LogEntry::new(log_id(term, index), openraft::EntryPayload::Normal(payload))
    }
}
