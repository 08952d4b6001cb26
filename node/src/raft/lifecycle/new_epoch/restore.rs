//! A new cluster out of a backup: its pages become the history of an empty data directory.
//!
//! The log begins behind that history, as on a node that has purged it, so whoever joins receives the pages.

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use futures::executor::block_on;
use ledger::{Action, Command, Facts, Genesis, Outcome, RecordNumber, SYSTEM_ACTOR, State, TableSeed, Time, decide};
use pages::backup::{BackupPage, Chain};
use pages::page;

use super::log::{alone, beginning, go_on, id, open};
use super::{NewCluster, NewEpochError};
use crate::raft::apply::rules::KnownRules;
use crate::raft::catch_up::replay::Replay;
use crate::raft::peers::link::hello::version::Build;
use crate::storage::{Checkpoint, History, NodeDisks, Page, StorageError, StoredMembership};

/// The term and the index of the position that a restored history has in its new log. Any would do: what a node that joins needs
/// is that all before it is purged.
const TERM: u64 = 1;
const INDEX: u64 = 1;

/// Pages that wait for each of the two threads behind the one that reads. Source: some 9 kB each; enough for none to wait long.
const WAITING: usize = 256;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The genesis of the ledger.
    pub genesis: Genesis,
    /// The epoch that begins with the first start.
    pub epoch: u32,
    /// Records that it goes on from.
    pub records: u64,
    /// Entries that it goes on from.
    pub entries: u64,
}

/// Fills the empty disks of a data directory with what the backup has, up to journal entry `until` or to its end, and with the
/// log of the cluster `to`. Blocks. Where it fails, the data directory is of no use.
///
/// # Errors
/// See [`NewEpochError`].
pub fn restore<R: Read>(
    backup: Chain<R>,
    until: Option<u64>,
    disks: &NodeDisks,
    to: &NewCluster,
    seed: TableSeed,
    now: Time,
) -> Result<Restored, NewEpochError> {
    let head = backup.head().clone();
    KnownRules(Build::OWN.rules).check(head.rules)?;
    if until.is_some_and(|until| until > head.entries) {
        return Err(NewEpochError::NoEntry { entries: head.entries });
    }
    block_on(disks.create())?;
    let history = History::open(disks.history.clone())?;
    let state = take_in(backup, until, &history, seed)?;
    let Some(genesis) = state.genesis().cloned() else { return Err(NewEpochError::Empty) };
    if until.is_none() && (state.records(), state.digest()) != (head.records, head.record_digest) {
        return Err(NewEpochError::Unfit("their digest is not the one of its head".to_owned()));
    }
    let epoch = check_begins(&state, head.epoch, to, now)?;
    let position = id(TERM, to.node, INDEX);
    let membership = StoredMembership::new(Some(position), alone(to.node, to.addresses.clone())?);
    let checkpoint = Checkpoint {
        applied: Some(position),
        membership,
        records: state.records(),
        digest: state.digest(),
        rules: state.rules(),
    };
    block_on(history.install(checkpoint))?;
    // Or the first start would read every page again.
    history.write_image(&state)?;
    let entry = beginning(id(TERM, to.node, INDEX + 1), epoch, to, now)?;
    go_on(open(disks)?, (TERM, to.node), Some(position), vec![entry])?;
    Ok(Restored { genesis, epoch, records: state.records(), entries: state.entries() })
}

/// The epoch after that of this state and of the backup, where the state takes it: in the log it must not be refused.
fn check_begins(state: &State, backed_up: u32, to: &NewCluster, now: Time) -> Result<u32, NewEpochError> {
    if state.had_cluster(to.cluster) {
        return Err(NewEpochError::ClusterUsed(to.cluster));
    }
    let epoch = state.epoch().max(backed_up).saturating_add(1);
    let action = Action::BeginEpoch(to.begin(epoch));
    let command = Command { actor: SYSTEM_ACTOR, idempotency_key: None, origin: None, action };
    match decide(state, &Facts::default(), &command, now) {
        Ok(Outcome::New(_)) => Ok(epoch),
        refused => Err(NewEpochError::NotBegun(format!("{refused:?}"))),
    }
}

/// Writes the pages and applies their records: one thread reads and checks the backup, one writes, one applies.
fn take_in<R: Read>(
    backup: Chain<R>,
    until: Option<u64>,
    history: &History,
    seed: TableSeed,
) -> Result<State, NewEpochError> {
    let (read, to_write) = sync_channel(WAITING);
    let (written, to_apply) = sync_channel(WAITING);
    thread::scope(|scope| {
        let writing = scope.spawn(move || write(history, &to_write, &written));
        let applying = scope.spawn(move || apply(seed, &to_apply));
        let reading = hand_on(backup, until, &read);
        drop(read);
        // The first that failed made the others end.
        let written = join(writing);
        let applied = match applying.join() {
            Ok(applied) => applied,
            Err(_panicked) => Err(NewEpochError::Unfit("a record does not fit those before it".to_owned())),
        };
        reading?;
        let state = applied?;
        written?;
        Ok(state)
    })
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panicked| resume_unwind(panicked))
}

/// A page on its way into the history, and its last record.
type Taken = (BackupPage, RecordNumber);

/// Reads the pages up to the entry that is asked for, or all of them.
fn hand_on<R: Read>(backup: Chain<R>, until: Option<u64>, to: &SyncSender<Taken>) -> Result<(), NewEpochError> {
    let head = backup.head().clone();
    for page in backup {
        let page = page?;
        let whole = head.last_of(page.number);
        let (page, last, is_end) = match until {
            None => (page, whole, false),
            Some(until) => cut(page, whole, until)?,
        };
        // A send fails where a thread behind failed, which says why.
        if to.send((page, last)).is_err() || is_end {
            break;
        }
    }
    Ok(())
}

/// The page up to the record of entry `until`, where it has that; its last record; and whether it has that.
fn cut(page: BackupPage, whole: RecordNumber, until: u64) -> Result<(BackupPage, RecordNumber, bool), NewEpochError> {
    let decoded = page::decode(page.number, &page.bytes, whole).map_err(StorageError::from)?;
    let made = |record: &&ledger::Record| record.movement().is_some_and(|movement| movement.entry_number == until);
    let Some(last) = decoded.records.iter().find(made).map(|record| record.number) else {
        return Ok((page, whole, false));
    };
    let length = page::decode(page.number, &page.bytes, last).map_err(StorageError::from)?.length;
    let mut page = page;
    page.bytes.truncate(length);
    Ok((page, last, true))
}

fn write(history: &History, pages: &Receiver<Taken>, written: &SyncSender<Page>) -> Result<(), NewEpochError> {
    for (page, last) in pages {
        let page = block_on(history.install_page(page.number, &page.bytes, last))?;
        if written.send(page).is_err() {
            break;
        }
    }
    Ok(())
}

fn apply(seed: TableSeed, pages: &Receiver<Page>) -> Result<State, NewEpochError> {
    let mut replay = Replay::onto(State::new(seed));
    for page in pages {
        replay.apply_page(&page)?;
    }
    Ok(replay.into_state())
}
