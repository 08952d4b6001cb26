//! The simulated disk: it takes time to sync, and a power cut loses any part of what was not synced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etebar_node::storage::StorageError;
use etebar_node::storage::disk::{Batch, Disk, Disks, Pair};
use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::dice::Dice;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
struct Content {
    /// What is read: everything written.
    now: Map,
    /// What survives.
    synced: Map,
    /// What was written since, each piece there or not after a cut.
    unsynced: Vec<Batch>,
    note: Option<Vec<u8>>,
    durable_note: Option<Vec<u8>>,
    ever_synced: bool,
}

#[derive(Debug)]
struct Inner {
    disks: BTreeMap<String, Content>,
    dice: Dice,
}

/// A folder of disks that outlives the crashes of its host. Clones share it.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct File {
    name: String,
    folder: Folder,
}

impl Folder {
    /// An empty folder.
    pub fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(Inner { disks: BTreeMap::new(), dice })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power.
    pub fn cut(&self) {
        let Inner { disks, dice } = &mut *self.lock();
        disks.retain(|_, content| content.ever_synced || dice.below(2) == 0);
        for content in disks.values_mut() {
            for batch in std::mem::take(&mut content.unsynced) {
                if dice.below(2) == 0 {
                    write(&mut content.synced, batch);
                }
            }
            content.now = content.synced.clone();
            if dice.below(2) == 0 {
                content.note = content.durable_note.clone();
            }
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

impl File {
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        work(self.folder.lock().disks.get_mut(&self.name).expect("an open disk was not discarded"))
    }
}

impl Disk for File {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.with(|content| content.now.get(key).cloned()))
    }

    fn range(&self, from: &[u8], until: &[u8], most: usize) -> Result<Vec<Pair>, StorageError> {
        Ok(self.with(|content| {
            let range = content.now.range(from.to_owned()..until.to_owned());
            range.take(most).map(|(key, value)| (key.clone(), value.clone())).collect()
        }))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.insert(key.to_owned(), value);
        self.apply(batch)
    }

    fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        self.with(|content| {
            write(&mut content.now, batch.clone());
            content.unsynced.push(batch);
        });
        Ok(())
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let written = self.with(|content| content.unsynced.len());
            let takes = self.folder.lock().dice.between(1, 5);
            sleep(Duration::from_millis(takes)).await;
            self.with(|content| {
                for batch in content.unsynced.drain(..written) {
                    write(&mut content.synced, batch);
                }
                content.ever_synced = true;
            });
            Ok(())
        })
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.with(|content| content.note.clone()))
    }

    fn write_note(&self, note: &[u8]) -> Result<(), StorageError> {
        self.with(|content| content.note = Some(note.to_owned()));
        Ok(())
    }

    fn sync_note(&self) -> Result<(), StorageError> {
        self.with(|content| content.durable_note = content.note.clone());
        Ok(())
    }

    fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        Ok(self.with(|content| content.now.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()))
    }
}

impl Disks for Folder {
    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.lock().disks.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Disk>, StorageError> {
        self.lock().disks.entry(name.to_owned()).or_default();
        Ok(Arc::new(File { name: name.to_owned(), folder: self.clone() }))
    }

    fn discard(&self, name: &str, last: Arc<dyn Disk>) -> Result<(), StorageError> {
        assert_eq!(Arc::strong_count(&last), 1, "a discarded disk has no other holder");
        self.lock().disks.remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        "the simulated disk".to_owned()
    }
}
