//! For tests: disks in memory that keep the promise of [`Disk`] and not more. A power cut loses any part of what was not
//! synced, by a seed; a sync can be made to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::entry::RaftEntry;
use openraft::vote::RaftLeaderIdExt;

use super::disk::{Batch, Disk, Disks, Pair};
use super::error::StorageError;
use super::types::{LogEntry, LogId, Payload, TypeConfig};

/// Chance that repeats itself (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default, Clone)]
struct Content {
    synced: Map,
    unsynced: Vec<Batch>,
    note: Option<Vec<u8>>,
    durable_note: Option<Vec<u8>>,
    ever_synced: bool,
}

/// A folder of disks in memory. Clones share it.
#[derive(Debug, Default, Clone)]
pub struct ModelDisks {
    disks: Arc<Mutex<BTreeMap<String, Content>>>,
    syncs_fail: Arc<Mutex<bool>>,
}

#[derive(Debug)]
struct ModelDisk {
    name: String,
    of: ModelDisks,
}

impl ModelDisks {
    /// Cuts the power: of each disk any part of what was not synced is lost, and a disk never synced perhaps whole.
    pub fn cut(&self, dice: &mut Dice) {
        let mut disks = self.disks.lock().unwrap();
        disks.retain(|_, content| content.ever_synced || dice.below(2) == 0);
        for content in disks.values_mut() {
            if dice.below(2) == 0 {
                content.note = content.durable_note.clone();
            }
            content.durable_note = content.note.clone();
            for batch in std::mem::take(&mut content.unsynced) {
                if dice.below(2) == 0 {
                    write(&mut content.synced, batch);
                }
            }
        }
    }

    /// Lets every sync from now on fail.
    pub fn fail_syncs(&self) {
        *self.syncs_fail.lock().unwrap() = true;
    }

    /// Changes one stored value as damage would.
    pub fn damage(&self, disk: &str, key: &[u8], how: impl FnOnce(&mut Option<Vec<u8>>)) {
        let mut disks = self.disks.lock().unwrap();
        let content = disks.get_mut(disk).unwrap();
        let mut value = content.synced.remove(key);
        how(&mut value);
        if let Some(value) = value {
            content.synced.insert(key.to_owned(), value);
        }
    }
}

fn write(map: &mut Map, batch: Batch) {
    for (key, value) in batch.into_writes() {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

impl ModelDisk {
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        work(self.of.disks.lock().unwrap().get_mut(&self.name).expect("an open disk was not discarded"))
    }

    fn now(&self) -> Map {
        self.with(|content| {
            let mut map = content.synced.clone();
            content.unsynced.iter().cloned().for_each(|batch| write(&mut map, batch));
            map
        })
    }
}

impl Disk for ModelDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.now().get(key).cloned())
    }

    fn range(&self, from: &[u8], until: &[u8], most: usize) -> Result<Vec<Pair>, StorageError> {
        let pairs = self
            .now()
            .range(from.to_owned()..until.to_owned())
            .take(most)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        Ok(pairs)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.insert(key.to_owned(), value);
        self.apply(batch)
    }

    fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        self.with(|content| content.unsynced.push(batch));
        Ok(())
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        let fails = *self.of.syncs_fail.lock().unwrap();
        let result = if fails {
            Err(StorageError::Database { place: self.name.clone(), reason: "the sync failed".to_owned() })
        } else {
            self.with(|content| {
                for batch in std::mem::take(&mut content.unsynced) {
                    write(&mut content.synced, batch);
                }
                content.ever_synced = true;
            });
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.with(|content| content.note.clone()))
    }

    fn write_note(&self, note: &[u8]) -> Result<(), StorageError> {
        assert!(note.len() <= super::disk::NOTE_BYTES_MAX, "{} bytes", note.len());
        self.with(|content| content.note = Some(note.to_owned()));
        Ok(())
    }

    fn sync_note(&self) -> Result<(), StorageError> {
        self.with(|content| content.durable_note = content.note.clone());
        Ok(())
    }

    fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        Ok(self.now().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }
}

impl Disks for ModelDisks {
    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.disks.lock().unwrap().keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Disk>, StorageError> {
        self.disks.lock().unwrap().entry(name.to_owned()).or_default();
        Ok(Arc::new(ModelDisk { name: name.to_owned(), of: self.clone() }))
    }

    fn discard(&self, name: &str, last: Arc<dyn Disk>) -> Result<(), StorageError> {
        assert_eq!(Arc::strong_count(&last), 1, "a discarded disk has no other holder");
        self.disks.lock().unwrap().remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// The log id of `index` in `term`.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(<openraft::alias::LeaderIdOf<TypeConfig>>::new_committed(term, 1), index)
}

/// An entry with `bytes` bytes that tell it from others.
pub fn entry(term: u64, index: u64, bytes: usize) -> LogEntry {
    let filling = (index as u8).wrapping_mul(31).wrapping_add(term as u8);
    let payload = Payload(Bytes::from(vec![filling; bytes]));
    LogEntry::new(log_id(term, index), openraft::EntryPayload::Normal(payload))
}
