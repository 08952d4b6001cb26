//! The log on sled.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::storage::RaftLogStorage;
use openraft::{RaftLogReader, Vote};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Running, refusal, small};
use crate::storage::disk::{Disk, Disks, SledDisks};
use crate::storage::error::StorageError;
use crate::storage::log::LogStore;
use crate::storage::log::generation::name_of;
use crate::storage::model::{Dice, entry, log_id};

fn disks(folder: &Path) -> Arc<dyn Disks> {
    Arc::new(SledDisks::new(folder.to_owned(), 4 * 1024 * 1024))
}

const GENERATION: u64 = 4 * 1024 * 1024;

#[tokio::test]
async fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let disks = disks(folder.path());
    let mut running = Running::create(&disks, small(GENERATION)).await;
    running.log.save_vote(&Vote::new(3, 2)).await.unwrap();
    running.fill(3, 0..40, 100_000).await;
    running.log.save_committed(Some(log_id(3, 35))).await.unwrap();
    let before = running.entries();
    running.close().await;

    let mut running = Running::open(&disks, small(GENERATION));
    assert_eq!(running.entries(), before);
    assert_eq!(running.log.reader().read_vote().await.unwrap(), Some(Vote::new(3, 2)));
    assert_eq!(running.log.read_committed().await.unwrap(), Some(log_id(3, 35)));
    running.close().await;
}

#[tokio::test]
async fn purged_generations_give_their_disk_back() {
    let folder = tempfile::tempdir().unwrap();
    let disks = disks(folder.path());
    let mut running = Running::create(&disks, small(GENERATION)).await;
    let mut most = 0;
    for start in (0..400).step_by(40) {
        running.fill(1, start..start + 40, 100_000).await;
        most = most.max(running.log.bytes_on_disk().unwrap());
        running.log.purge(log_id(1, start + 35)).await.unwrap();
    }
    // A purge is not waited for; a vote is, and the writer keeps their order.
    running.log.save_vote(&Vote::new(1, 1)).await.unwrap();
    assert!(most < 6 * GENERATION, "{most} bytes on the disk, while 40 MB went through");
    assert_eq!(running.log.bytes_since(399).unwrap(), disk_of_newest(&running));
    let before = running.entries();
    assert_eq!(before.first().unwrap().log_id, log_id(1, 396));
    running.close().await;
    // Closing waits until all are dropped that were to be. The one that was made ahead is among those that are left.
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.len() <= 4, "{left:?}");

    let mut running = Running::open(&disks, small(GENERATION));
    assert_eq!(running.entries(), before);
    running.fill(1, 400..402, 10).await;
    running.close().await;
}

fn disk_of_newest(running: &Running) -> u64 {
    running.log.shared().generations().last().unwrap().disk.bytes_on_disk().unwrap()
}

#[tokio::test]
async fn what_was_truncated_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let disks = disks(folder.path());
    let mut running = Running::create(&disks, small(GENERATION)).await;
    running.fill(1, 0..100, 100_000).await;
    // Within the newest generation, then far behind it.
    for kept in [97, 10] {
        running.log.truncate_after(Some(log_id(1, kept))).await.unwrap();
        assert_eq!(running.entries().last(), Some(&entry(1, kept, 100_000)));
    }
    running.fill(2, 11..14, 50_000).await;
    let before = running.entries();
    running.close().await;

    let running = Running::open(&disks, small(GENERATION));
    assert_eq!(running.entries(), before);
    assert_eq!(before.last(), Some(&entry(2, 13, 50_000)));
    running.close().await;
}

#[tokio::test]
async fn a_flipped_byte_in_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let disks = disks(folder.path());
    let mut running = Running::create(&disks, small(u64::MAX)).await;
    running.fill(1, 0..20, 3_000).await;
    running.close().await;
    let file = folder.path().join(name_of(1)).join("db");
    let mut bytes = fs::read(&file).unwrap();
    let filling = entry(1, 7, 3_000);
    let openraft::EntryPayload::Normal(payload) = filling.payload else { unreachable!("it has a payload") };
    // Wherever sled keeps a copy of entry 7.
    let places: Vec<usize> = (0..bytes.len() - 3_000).filter(|start| bytes[*start..].starts_with(&payload.0)).collect();
    assert!(!places.is_empty(), "the payload is in the file");
    for start in places {
        bytes[start + 1_500] ^= 1;
    }
    fs::write(&file, bytes).unwrap();
    let refusal = refusal(&disks);
    assert!(refusal.contains(&name_of(1)) || refusal.contains("generation 1"), "{refusal}");
}

#[tokio::test]
async fn no_value_goes_to_a_blob() {
    let folder = tempfile::tempdir().unwrap();
    let disks = disks(folder.path());
    let mut running = Running::create(&disks, small(GENERATION)).await;
    for index in 0..6 {
        running.append(vec![entry(1, index, 1_000_000)]).await.unwrap();
    }
    for name in disks.list().unwrap() {
        let blobs = fs::read_dir(folder.path().join(name).join("blobs")).unwrap();
        assert_eq!(blobs.count(), 0);
    }
    running.close().await;

    fs::write(folder.path().join(name_of(1)).join("blobs").join("7"), "x").unwrap();
    assert!(refusal(&disks).contains("blobs is damaged: it must be empty"));
}

/// A folder that holds a log with entries, truncated once, and what is in it.
async fn seasoned(folder: &Path) -> Vec<crate::storage::types::LogEntry> {
    let disks = disks(folder);
    let mut running = Running::create(&disks, small(GENERATION)).await;
    running.log.save_vote(&Vote::new(1, 1)).await.unwrap();
    running.fill(1, 0..45, 50_000).await;
    running.log.truncate_after(Some(log_id(1, 40))).await.unwrap();
    running.log.save_vote(&Vote::new(2, 1)).await.unwrap();
    running.fill(2, 41..60, 50_000).await;
    running.fill(2, 60..90, 100).await;
    let entries = running.entries();
    running.close().await;
    entries
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let target = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy(&found.path(), &target);
        } else {
            fs::copy(found.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn damage_anywhere_is_refused_or_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    fs::create_dir(&whole).unwrap();
    let expected = seasoned(&whole).await;
    let generations = disks(&whole).list().unwrap();
    assert!(generations.len() > 1, "{generations:?}");
    let mut refused = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let hurt = folder.path().join("hurt");
        copy(&whole, &hurt);
        let file = hurt.join(&generations[dice.index(generations.len())]).join("db");
        let mut bytes = fs::read(&file).unwrap();
        let start = dice.index(bytes.len());
        let length = [1, 1, 4096][dice.index(3)].min(bytes.len() - start);
        bytes[start..start + length].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(&file, bytes).unwrap();
        match LogStore::open(disks(&hurt), small(GENERATION)) {
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty(), "seed {seed}");
            }
            Ok((mut log, _writer)) => {
                assert_eq!(log.shared().read(0, u64::MAX, u64::MAX).unwrap(), expected, "seed {seed}");
                assert_eq!(log.reader().read_vote().await.unwrap(), Some(Vote::new(2, 1)), "seed {seed}");
                assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(log_id(2, 89)), "seed {seed}");
            }
        }
        fs::remove_dir_all(&hurt).unwrap();
    }
    assert!(refused > 20, "only {refused} were refused: the damage missed");
}

/// Which threads make and drop databases.
#[derive(Debug)]
struct Named {
    disks: Arc<dyn Disks>,
    done: Mutex<Vec<String>>,
}

impl Named {
    fn note(&self, what: &str, name: &str) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.done.lock().push(format!("{what} {} on {thread}", name.trim_start_matches('0')));
    }
}

impl Disks for Named {
    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.disks.list()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Disk>, StorageError> {
        self.note("open", name);
        self.disks.open(name)
    }

    fn discard(&self, name: &str, last: Arc<dyn Disk>) -> Result<(), StorageError> {
        self.note("discard", name);
        self.disks.discard(name, last)
    }

    fn place(&self) -> String {
        self.disks.place()
    }
}

#[tokio::test]
async fn generations_are_made_and_dropped_beside_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let named = Arc::new(Named { disks: disks(folder.path()), done: Mutex::default() });
    let disks: Arc<dyn Disks> = named.clone();
    let mut running = Running::create(&disks, small(GENERATION)).await;
    let begun = named.done.lock().len();
    running.fill(1, 0..150, 100_000).await;
    running.log.purge(log_id(1, 145)).await.unwrap();
    running.close().await;
    let done = named.done.lock().split_off(begun);
    assert!(done.iter().any(|what| what == "open 2 on log-attendant"), "{done:?}");
    assert!(done.iter().any(|what| what == "discard 1 on log-attendant"), "{done:?}");
    assert!(done.iter().all(|what| what.ends_with("on log-attendant")), "{done:?}");
    // What was made ahead and never begun is dropped by the next start.
    let mut running = Running::open(&disks, small(GENERATION));
    assert_eq!(running.entries().last(), Some(&entry(1, 149, 100_000)));
    running.fill(1, 150..190, 100_000).await;
    running.close().await;
}

#[tokio::test]
async fn a_generation_that_cannot_be_dropped_stops_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let disks = disks(folder.path());
    let mut running = Running::create(&disks, small(GENERATION)).await;
    running.fill(1, 0..150, 100_000).await;
    fs::write(folder.path().join(format!("{}.discarded", name_of(1))), b"in the way").unwrap();
    running.log.purge(log_id(1, 145)).await.unwrap();
    let begun = Instant::now();
    while running.log.save_vote(&Vote::new(2, 1)).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the failure is noticed");
    }
    let ended = running.writer.join().unwrap().unwrap_err().to_string();
    assert!(ended.contains("rename"), "{ended}");
}
