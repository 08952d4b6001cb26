//! Crashes, failures and damage on disks in memory.

use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::{RaftLogReader, Vote};

use super::{Running, refusal, small};
use crate::storage::disk::Disks;
use crate::storage::format::keys;
use crate::storage::history::{Checkpoint, History};
use crate::storage::log::generation::name_of;
use crate::storage::log::{LogSettings, LogStore};
use crate::storage::model::{Dice, ModelDisks, entry, log_id};
use crate::storage::types::{LogEntry, LogId, TypeConfig};

fn model() -> (ModelDisks, Arc<dyn Disks>) {
    let disks = ModelDisks::default();
    let shared: Arc<dyn Disks> = Arc::new(disks.clone());
    (disks, shared)
}

/// What was answered for, and so must be found again.
#[derive(Default)]
struct Expected {
    entries: Vec<LogEntry>,
    purged: Option<LogId>,
    vote: Option<openraft::alias::VoteOf<TypeConfig>>,
    term: u64,
}

impl Expected {
    fn next(&self) -> u64 {
        let last = self.entries.last().map(|entry| entry.log_id).or(self.purged);
        last.map_or(0, |id| id.index + 1)
    }
}

#[tokio::test]
async fn nothing_answered_is_lost_in_any_cut() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let (model, disks) = model();
        let settings = LogSettings { memory_bytes: dice.below(5_000), ..small(1_000 + dice.below(60_000)) };
        LogStore::create(&*disks).await.unwrap();
        let mut expected = Expected { term: 1, ..Expected::default() };
        for _boot in 0..6 {
            let mut running = Running::open(&disks, settings);
            check(&mut running, &expected, seed).await;
            for _ in 0..dice.below(25) {
                step(&mut running, &mut expected, &mut dice).await;
            }
            check(&mut running, &expected, seed).await;
            let writer = abandon(running, &mut expected, &mut dice).await;
            drop(writer.join());
            model.cut(&mut dice);
        }
    }
}

async fn step(running: &mut Running, expected: &mut Expected, dice: &mut Dice) {
    match dice.below(12) {
        0 => {
            expected.term += 1;
            let vote = Vote::new(expected.term, 1);
            running.log.save_vote(&vote).await.unwrap();
            expected.vote = Some(vote);
        }
        1 => truncate(running, expected, dice).await,
        2 => purge(running, expected, dice).await,
        _ => {
            let first = expected.next();
            let count = 1 + dice.below(3);
            let entries: Vec<LogEntry> =
                (first..first + count).map(|index| entry(expected.term, index, dice.index(20_000))).collect();
            running.append(entries.clone()).await.unwrap();
            expected.entries.extend(entries);
            let committed = expected.entries.last().map(|entry| entry.log_id);
            running.log.save_committed(committed).await.unwrap();
        }
    }
}

async fn truncate(running: &mut Running, expected: &mut Expected, dice: &mut Dice) {
    let kept = dice.index(expected.entries.len() + 1);
    expected.entries.truncate(kept);
    let last = expected.entries.last().map(|entry| entry.log_id).or(expected.purged);
    running.log.truncate_after(last).await.unwrap();
    expected.term += 1;
}

async fn purge(running: &mut Running, expected: &mut Expected, dice: &mut Dice) {
    // Now and then beyond the last entry, as after a snapshot.
    let beyond = if dice.below(4) == 0 { 3 } else { 0 };
    let first = expected.purged.map_or(0, |id| id.index + 1);
    let upto = first + dice.below(expected.entries.len() as u64 + 1 + beyond);
    let id = match expected.entries.iter().find(|entry| entry.log_id.index == upto) {
        Some(entry) => entry.log_id,
        None if upto < expected.next() => return,
        None => log_id(expected.term, upto),
    };
    running.log.purge(id).await.unwrap();
    expected.purged = Some(id);
    expected.entries.retain(|entry| entry.log_id.index > upto);
}

/// Leaves work in the queue or on the disk that was never answered for, and ends the writer without closing.
async fn abandon(
    mut running: Running,
    expected: &mut Expected,
    dice: &mut Dice,
) -> std::thread::JoinHandle<Result<(), crate::storage::StorageError>> {
    if dice.below(2) == 0 {
        let (tx, synced) = TypeConfig::oneshot();
        let more = entry(expected.term, expected.next(), 9_000);
        running.log.append([more.clone()], IOFlushed::signal(tx)).await.unwrap();
        if synced.await.is_ok_and(|result| result.is_ok()) {
            expected.entries.push(more);
        }
    }
    let Running { log, writer } = running;
    drop(log);
    writer
}

async fn check(running: &mut Running, expected: &Expected, seed: u64) {
    assert_eq!(running.entries(), expected.entries, "seed {seed}: the entries answered for");
    let state = running.log.get_log_state().await.unwrap();
    let last = expected.entries.last().map(|entry| entry.log_id).or(expected.purged);
    assert_eq!((state.last_purged_log_id, state.last_log_id), (expected.purged, last), "seed {seed}: the bounds");
    assert_eq!(running.log.reader().read_vote().await.unwrap(), expected.vote, "seed {seed}: the vote");
    assert!(running.log.read_committed().await.unwrap() <= last, "seed {seed}: committed is within the log");
}

#[tokio::test]
async fn a_failed_sync_is_final() {
    let (model, disks) = model();
    let mut running = Running::create(&disks, small(u64::MAX)).await;
    running.fill(1, 0..3, 100).await;
    model.fail_syncs();
    let error = running.append(vec![entry(1, 3, 100)]).await.unwrap_err();
    assert!(error.to_string().contains("the sync failed"), "{error}");
    let writer = running.writer;
    assert!(writer.join().unwrap().is_err(), "the writer ends with the failure");
    let (tx, _synced) = TypeConfig::oneshot();
    let error = running.log.append([entry(1, 4, 100)], IOFlushed::signal(tx)).await.unwrap_err();
    assert!(error.to_string().contains("takes no more writes"), "{error}");
    assert!(running.log.save_vote(&Vote::new(2, 1)).await.is_err(), "no vote either");
}

#[tokio::test]
async fn an_entry_that_does_not_follow_is_refused() {
    let (_model, disks) = model();
    let mut running = Running::create(&disks, small(u64::MAX)).await;
    running.fill(1, 0..3, 100).await;
    let error = running.append(vec![entry(1, 4, 100)]).await.unwrap_err();
    assert!(error.to_string().contains("does not follow entry 3"), "{error}");
    running.close().await;
}

async fn model_with_entries() -> (ModelDisks, Arc<dyn Disks>) {
    let (model, disks) = model();
    let mut running = Running::create(&disks, small(50_000)).await;
    running.fill(1, 0..12, 20_000).await;
    running.close().await;
    assert!(disks.list().unwrap().len() >= 3, "several generations");
    (model, disks)
}

#[tokio::test]
async fn a_flipped_byte_is_refused_with_its_place() {
    let (model, disks) = model_with_entries().await;
    model.damage(&name_of(1), &keys::entry(1, 1), |value| value.as_mut().unwrap()[500] ^= 1);
    let refusal = refusal(&disks);
    assert!(refusal.starts_with("log entry 1 in generation 1, part 1, is damaged"), "{refusal}");
}

#[tokio::test]
async fn a_missing_last_part_is_refused_with_its_place() {
    let (model, disks) = model_with_entries().await;
    model.damage(&name_of(1), &keys::entry(1, 2), |value| *value = None);
    let refusal = refusal(&disks);
    assert!(refusal.starts_with("log entry 1 in generation 1 is damaged: it has"), "{refusal}");
}

#[tokio::test]
async fn a_missing_middle_part_is_refused_with_its_place() {
    let (model, disks) = model_with_entries().await;
    model.damage(&name_of(1), &keys::entry(1, 1), |value| *value = None);
    let refusal = refusal(&disks);
    assert!(refusal.contains("log entry 1 in generation 1 is damaged: part 1 is missing"), "{refusal}");
}

#[tokio::test]
async fn a_missing_entry_is_refused_with_its_place() {
    let (model, disks) = model_with_entries().await;
    (0..3).for_each(|part| model.damage(&name_of(1), &keys::entry(1, part), |value| *value = None));
    let refusal = refusal(&disks);
    assert!(refusal.contains("log entry 1 in generation 1 is damaged: it is missing, though entry 2"), "{refusal}");
}

#[tokio::test]
async fn a_missing_generation_is_refused() {
    let (_model, disks) = model_with_entries().await;
    for gone in [1, 2] {
        let disk = disks.open(&name_of(gone)).unwrap();
        disks.discard(&name_of(gone), disk).unwrap();
        assert!(refusal(&disks).contains("it is missing"), "without generation {gone}");
    }
}

#[tokio::test]
async fn an_older_generation_without_a_heading_is_refused() {
    let (model, disks) = model_with_entries().await;
    model.damage(&name_of(1), &keys::generation(), |value| *value = None);
    let refusal = refusal(&disks);
    assert!(refusal.starts_with("log generation 1 is damaged"), "{refusal}");
}

#[tokio::test]
async fn a_lost_log_is_a_refusal_not_an_empty_log() {
    let (model, disks) = model();
    assert!(refusal(&disks).contains("holds no log"));
    LogStore::create(&*disks).await.unwrap();
    assert!(LogStore::create(&*disks).await.is_err(), "a log is made once");
    model.damage(&name_of(1), &keys::generation(), |value| *value = None);
    assert!(refusal(&disks).contains("holds no finished log"));
}

#[tokio::test]
async fn a_read_for_a_follower_is_bounded_and_never_empty() {
    let (_model, disks) = model();
    let settings = LogSettings { round_bytes: 30_000, ..small(50_000) };
    let mut running = Running::create(&disks, settings).await;
    running.fill(1, 0..12, 20_000).await;
    let mut reader = running.log.reader();
    for start in 0..12 {
        let piece = reader.limited_get_log_entries(start, 12).await.unwrap();
        assert_eq!(piece, [entry(1, start, 20_000)]);
    }
    let all: Vec<LogEntry> = futures::TryStreamExt::try_collect(reader.entries_stream(3..).await).await.unwrap();
    assert_eq!(all, running.entries()[3..]);
    drop(reader);
    running.close().await;
}

#[tokio::test]
async fn a_history_that_ends_before_the_log_begins_is_refused() {
    let (_model, disks) = model();
    let mut running = Running::create(&disks, small(u64::MAX)).await;
    running.fill(1, 0..10, 100).await;
    running.log.purge(log_id(1, 5)).await.unwrap();
    running.log.check_joins(&history_to(5).await).unwrap();
    let error = running.log.check_joins(&history_to(4).await).unwrap_err().to_string();
    assert!(error.starts_with("the history is damaged: it ends at"), "{error}");
    running.close().await;
}

fn ending(index: u64) -> Checkpoint {
    Checkpoint { applied: Some(log_id(1, index)), ..Checkpoint::default() }
}

/// A history whose last checkpoint is at entry `index`.
async fn history_to(index: u64) -> History {
    let disk = ModelDisks::default().open("history").unwrap();
    History::create(&*disk).await.unwrap();
    let history = History::open(disk).unwrap();
    history.write(ending(index)).await.unwrap();
    history
}

#[tokio::test]
async fn a_log_that_ends_before_the_history_is_refused_unless_a_snapshot_was_installed_there() {
    let (_model, disks) = model();
    let mut running = Running::create(&disks, small(u64::MAX)).await;
    running.fill(1, 0..10, 100).await;
    running.log.check_joins(&history_to(9).await).unwrap();
    let history = history_to(10).await;
    let error = running.log.check_joins(&history).unwrap_err().to_string();
    assert!(error.starts_with("the log is damaged: it ends before entry 10, but the history holds"), "{error}");
    assert!(error.contains("keep the data directory and do not run `init` again") && !error.contains('\n'), "{error}");

    history.install(ending(20)).await.unwrap();
    running.log.check_joins(&history).unwrap();
    history.write(ending(21)).await.unwrap();
    assert!(running.log.check_joins(&history).is_err(), "the mark excuses no later checkpoint");
    running.log.purge(log_id(1, 21)).await.unwrap();
    running.log.check_joins(&history).unwrap();
    running.close().await;
}
