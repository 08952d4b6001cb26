//! The process whose power is cut: it writes the log and the history at once, and says what was acknowledged.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use etebar_node::storage::disk::open_sled;
use etebar_node::storage::{Checkpoint, Disks, History, LogId, LogSettings, LogStore, Payload, SledDisks, TypeConfig};
use ledger::{Amount, Balance, Charged, Event, PageMark, Phone, Record, Time};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderIdExt;
use openraft::{RaftLogReader, Vote};

/// Entropy that repeats itself (`SplitMix64`).
pub(crate) struct Dice(pub u64);

impl Dice {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let [.., byte] = self.below(256).to_be_bytes();
        byte
    }
}

/// Generations that come and go while the test runs.
pub(crate) fn settings() -> LogSettings {
    LogSettings { memory_bytes: 100_000, ..LogSettings::for_log_bytes(0) }
}

/// The entry `index` of `term`, always with the same bytes.
pub(crate) fn entry(term: u64, index: u64) -> openraft::alias::EntryOf<TypeConfig> {
    let mut dice = Dice(term << 32 | index);
    let length = if dice.below(4) == 0 { 40_000 } else { 3_000 };
    let payload: Vec<u8> = (0..dice.below(length)).map(|_| dice.byte()).collect();
    openraft::Entry::new(log_id(term, index), openraft::EntryPayload::Normal(Payload(Bytes::from(payload))))
}

/// The record `number`, always the same.
pub(crate) fn record(number: u64) -> Record {
    Record {
        number,
        time: Time(number),
        actor: 3,
        idempotency_key: ledger::IdempotencyKey::new(&format!("key-{number}")).ok(),
        origin: None,
        event: Event::Charged(Charged {
            seller: 2,
            phone: Phone::new(989_123_456_789).unwrap(),
            amount: Amount::new(number).unwrap(),
            entry: number,
            balance: Balance::default(),
            reference: None,
            phone_charge: number,
            previous: number - 1,
        }),
    }
}

/// Adds the next record; what stands before its page is not looked at here.
pub(crate) fn push(history: &History) {
    let record = record(history.records() + 1);
    let mark = PageMark { first: record.number, time: record.time, ..PageMark::default() };
    history.push(record, || mark);
}

/// The position `index` of `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(<openraft::alias::LeaderIdOf<TypeConfig>>::new_committed(term, 1), index)
}

/// Makes an empty log and an empty history.
pub(crate) async fn create(folder: &Path) {
    std::fs::create_dir(folder.join("log")).unwrap();
    LogStore::create(&SledDisks::new(folder.join("log"), 4 << 20)).await.unwrap();
    History::create(&*open_sled(&folder.join("history"), 4 << 20).unwrap()).await.unwrap();
}

/// Writes until the disk fails or the process is killed.
pub(crate) fn run(folder: &Path, seed: u64) {
    let history = folder.join("history");
    std::thread::spawn(move || futures::executor::block_on(write_history(&history, Dice(seed + 1_000))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(write_log(&folder.join("log"), Dice(seed)));
}

/// The folders of the log's generations.
fn generations(folder: &Path) -> BTreeSet<OsString> {
    let names = std::fs::read_dir(folder).unwrap().map(|found| found.unwrap().file_name());
    names.filter(|name| name.to_str().is_some_and(|name| name.parse::<u64>().is_ok())).collect()
}

async fn write_log(folder: &Path, mut dice: Dice) {
    let disks: Arc<dyn Disks> = Arc::new(SledDisks::new(folder.to_owned(), 4 << 20));
    let (mut log, writer) = LogStore::open(Arc::clone(&disks), settings()).unwrap();
    let _writer = writer.spawn_thread().unwrap();
    let vote: Option<openraft::alias::VoteOf<TypeConfig>> = log.reader().read_vote().await.unwrap();
    let mut term = vote.map_or(0, |vote| vote.leader_id.term) + 1;
    log.save_vote(&Vote::new(term, 1)).await.unwrap();
    println!("voted={term}");
    let mut there = generations(folder);
    loop {
        let state = log.get_log_state().await.unwrap();
        let (first, next) = (next_index(state.last_purged_log_id), next_index(state.last_log_id));
        match dice.below(60) {
            0 if next > first + 10 => {
                let keep = next - 1 - dice.below(10);
                println!("truncating={keep}");
                let kept = log.reader().try_get_log_entries(keep..=keep).await.unwrap();
                log.truncate_after(kept.first().map(|entry| entry.log_id)).await.unwrap();
                term += 1;
                log.save_vote(&Vote::new(term, 1)).await.unwrap();
                println!("voted={term}");
            }
            1 if next > first + 60 => {
                let upto = next - 30;
                println!("purging={upto}");
                let last = log.reader().try_get_log_entries(upto..=upto).await.unwrap();
                log.purge(last[0].log_id).await.unwrap();
                // A purge is not waited for; a vote is, and the writer keeps their order.
                log.save_vote(&Vote::new(term, 1)).await.unwrap();
                // They are dropped beside the writer: those of this purge are gone by the next one.
                let now = generations(folder);
                println!("purged={upto},{}", there.difference(&now).count());
                there = now;
            }
            _ => {
                let (tx, synced) = TypeConfig::oneshot();
                log.append([entry(term, next)], IOFlushed::signal(tx)).await.unwrap();
                synced.await.unwrap().unwrap();
                println!("appended={next},{term}");
            }
        }
    }
}

fn next_index(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| id.index + 1)
}

async fn write_history(folder: &Path, mut dice: Dice) {
    let history = History::open(open_sled(folder, 4 << 20).unwrap()).unwrap();
    loop {
        for _ in 0..dice.below(300) {
            push(&history);
        }
        let records = history.records();
        let applied = Some(log_id(1, records));
        history.write(Checkpoint { applied, records, ..Checkpoint::default() }).await.unwrap();
        println!("checkpointed={records}");
    }
}
