//! How long a disk has been at one piece of work: a disk that hangs gives no error, and what waits for it cannot report it.
//!
//! The log's writer marks each of its rounds; a disk that many threads call is [`Watched`], which marks each call.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Batch, Disk, ImageName, ImageWriter, Pair};
use crate::storage::error::StorageError;

/// The work under way on one disk.
#[derive(Debug, Default)]
pub(crate) struct StallWatch(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    begun: u64,
    since: Vec<(u64, Instant)>,
}

/// One piece of work; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct AtWork<'a> {
    watch: &'a StallWatch,
    number: u64,
}

impl StallWatch {
    /// Begins a piece of work.
    pub(crate) fn begin(&self) -> AtWork<'_> {
        let mut under_way = self.0.lock();
        under_way.begun += 1;
        let number = under_way.begun;
        under_way.since.push((number, Instant::now()));
        AtWork { watch: self, number }
    }

    /// How long the oldest work under way has taken; zero where there is none. Long means that the disk stalls.
    pub(crate) fn at_work_for(&self) -> Duration {
        self.0.lock().since.iter().map(|(_, since)| since.elapsed()).max().unwrap_or_default()
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.watch.0.lock().since.retain(|(number, _)| *number != self.number);
    }
}

/// A disk whose calls are watched.
#[derive(Debug)]
pub(crate) struct Watched {
    disk: Arc<dyn Disk>,
    watch: Arc<StallWatch>,
}

impl Watched {
    /// Marks every call of `disk` in `watch`.
    pub(crate) fn new(disk: Arc<dyn Disk>, watch: Arc<StallWatch>) -> Self {
        Self { disk, watch }
    }
}

impl Disk for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let _at_work = self.watch.begin();
        self.disk.get(key)
    }

    fn range(&self, from: &[u8], until: &[u8], most: usize) -> Result<Vec<Pair>, StorageError> {
        let _at_work = self.watch.begin();
        self.disk.range(from, until, most)
    }

    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, StorageError> {
        let _at_work = self.watch.begin();
        self.disk.last(from, until)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), StorageError> {
        let _at_work = self.watch.begin();
        self.disk.insert(key, value)
    }

    fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let _at_work = self.watch.begin();
        self.disk.apply(batch)
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let _at_work = self.watch.begin();
            self.disk.sync().await
        })
    }

    fn high_water(&self) -> Result<Option<Vec<u8>>, StorageError> {
        let _at_work = self.watch.begin();
        self.disk.high_water()
    }

    fn write_high_water(&self, high_water: &[u8]) -> Result<(), StorageError> {
        let _at_work = self.watch.begin();
        self.disk.write_high_water(high_water)
    }

    fn sync_high_water(&self) -> Result<(), StorageError> {
        let _at_work = self.watch.begin();
        self.disk.sync_high_water()
    }

    fn open_image(&self, name: ImageName) -> Result<Option<Box<dyn Read + Send>>, StorageError> {
        self.disk.open_image(name)
    }

    fn create_image(&self, name: ImageName) -> Result<Box<dyn ImageWriter>, StorageError> {
        self.disk.create_image(name)
    }

    fn remove_image(&self, name: ImageName) -> Result<(), StorageError> {
        self.disk.remove_image(name)
    }

    fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        self.disk.bytes_on_disk()
    }
}
