//! A real power cut: the log and the history are written by a process on a file system of their own (ext4 in a file,
//! mounted over a loop device), which is shut down under it without writing anything out. What was answered for before
//! must be there after the next mount. A killed process proves nothing of the kind: its writes stay in the page cache.
//!
//! Needs root. Without it the test says so loudly and proves nothing; the gate refuses to run without root.

#[path = "power_cut/installer.rs"]
mod installer;
#[path = "power_cut/volume.rs"]
mod volume;
#[path = "power_cut/writer.rs"]
mod writer;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use etebar_node::storage::history::RecordCursor;
use etebar_node::storage::{Disks, History, LogStore, SledDisks, TypeConfig};
use openraft::{RaftLogReader, Vote};
use rustix::process::{Signal, set_parent_process_death_signal};
use volume::Volume;
use writer::{Dice, entry, record};

const ROUNDS: u64 = 10;
/// The variable that makes this program the writer, and names its folder and seed.
const WRITER: &str = "ETEBAR_POWER_CUT_WRITER";
/// Power cuts while a node installs what another one has.
const INSTALLS: u64 = 6;
/// The variable that makes this program the installer, and names the folder of the other node and its own.
const INSTALLER: &str = "ETEBAR_POWER_CUT_INSTALLER";

#[tokio::test]
async fn nothing_acknowledged_is_lost_in_a_power_cut() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED, NOTHING PROVEN: a power cut needs root (loop device, mount, FS_IOC_SHUTDOWN)");
        return;
    }
    let mut volume = Volume::make();
    let folder = volume.path().to_owned();
    writer::create(&folder).await;
    let mut promised = Promised::default();
    for round in 0..ROUNDS {
        let lines = 40 + Dice(round).below(800);
        let mut child = Writing(start("writer_process", WRITER, &format!("{round} {}", folder.display())));
        let output = BufReader::new(child.0.stdout.take().unwrap());
        let mut output = output.lines().map(Result::unwrap).filter(|line| line.contains('='));
        for _ in 0..lines {
            promised.note(&output.next().unwrap_or_else(|| panic!("round {round}: the writer stopped")));
        }
        volume.cut_power();
        child.end();
        output.for_each(|line| promised.note(&line));
        volume.mount_again();
        check_log(&folder, &promised, round).await;
        check_history(&folder, &promised, round);
    }
    assert!(promised.generations_dropped > 3, "generations came and went: {}", promised.generations_dropped);
    assert!(promised.checkpoint > 1_000, "the history grew: {}", promised.checkpoint);
    println!("{ROUNDS} power cuts, {} entries and {} records promised, none lost", promised.total, promised.checkpoint);
}

#[tokio::test]
async fn a_power_cut_in_the_middle_of_a_large_install_loses_nothing_durable() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED, NOTHING PROVEN: a power cut needs root (loop device, mount, FS_IOC_SHUTDOWN)");
        return;
    }
    let mut volume = Volume::make();
    let (folder, other) = (volume.path().to_owned(), tempfile::tempdir().unwrap());
    installer::create(other.path(), installer::RECORDS).await;
    installer::create(&folder, 20_000).await;
    let mut promised = Promised { checkpoint: 20_000, ..Promised::default() };
    for round in 0..INSTALLS {
        let pages = 500 + Dice(round).below(installer::RECORDS / ledger::PAGE_RECORDS - 1_500);
        let both = format!("{} {}", other.path().display(), folder.display());
        let mut child = Writing(start("installer_process", INSTALLER, &both));
        let output = BufReader::new(child.0.stdout.take().unwrap());
        let mut output = output.lines().map(Result::unwrap).filter(|line| line.contains('='));
        while promised.pages < pages {
            promised.note(&output.next().unwrap_or_else(|| panic!("round {round}: the installer stopped")));
        }
        volume.cut_power();
        child.end();
        volume.mount_again();
        check_history(&folder, &promised, round);
        promised.pages = 0;
    }
    println!("{INSTALLS} power cuts in an install, none of {} records lost", promised.checkpoint);
}

/// Not a test: the installer, when this program is started as one.
#[test]
fn installer_process() {
    if let Ok(what) = std::env::var(INSTALLER) {
        let (other, folder) = what.split_once(' ').unwrap();
        futures::executor::block_on(installer::run(Path::new(other), Path::new(folder)));
    }
}

/// Not a test: the writer, when this program is started as one.
#[test]
fn writer_process() {
    if let Ok(what) = std::env::var(WRITER) {
        let (seed, folder) = what.split_once(' ').unwrap();
        writer::run(Path::new(folder), seed.parse().unwrap());
    }
}

struct Writing(Child);

impl Writing {
    fn end(&mut self) {
        // It may have ended by itself when its disk went.
        drop(self.0.kill());
        self.0.wait().unwrap();
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts this program as `process`, which reads `what` from `variable`.
fn start(process: &str, variable: &str, what: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", process, "--nocapture", "--test-threads", "1"])
        .env(variable, what)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // SAFETY: prctl is safe to call between fork and exec.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    command.spawn().unwrap()
}

/// What the writer or the installer said.
#[derive(Default)]
struct Promised {
    /// Term by index of each entry that was acknowledged and not given up since.
    entries: BTreeMap<u64, u64>,
    vote: u64,
    /// The highest index that was to be purged.
    purge_asked: Option<u64>,
    purged: Option<u64>,
    checkpoint: u64,
    /// Pages of an install that were written and have no checkpoint yet.
    pages: u64,
    total: u64,
    generations_dropped: u64,
}

impl Promised {
    /// Takes in one line: what was done, but for `truncating` and `purging`, which are said before.
    fn note(&mut self, line: &str) {
        // The test harness may print the beginning of a line of its own in front of the first one.
        let line = line.rsplit(' ').next().unwrap();
        let (what, numbers) = line.split_once('=').unwrap();
        let mut numbers = numbers.split(',').map(|number| number.parse::<u64>().unwrap());
        let first = numbers.next().unwrap();
        match what {
            "appended" => {
                self.entries.insert(first, numbers.next().unwrap());
                self.total += 1;
            }
            "voted" => self.vote = first,
            "truncating" => self.entries.retain(|index, _| *index <= first),
            "purging" => self.purge_asked = Some(first),
            "purged" => {
                self.purged = Some(first);
                self.generations_dropped += numbers.next().unwrap();
            }
            "checkpointed" => self.checkpoint = first,
            "page" => self.pages += 1,
            other => panic!("the writer said {other}"),
        }
    }
}

async fn check_log(folder: &Path, promised: &Promised, round: u64) {
    let disks: std::sync::Arc<dyn Disks> = std::sync::Arc::new(SledDisks::new(folder.join("log"), 4 << 20));
    let (mut log, writer) = LogStore::open(disks, writer::settings()).unwrap();
    let writer = writer.spawn_thread().unwrap();
    let mut reader = log.reader();
    let vote: Option<openraft::alias::VoteOf<TypeConfig>> = reader.read_vote().await.unwrap();
    assert!(promised.vote == 0 || vote >= Some(Vote::new(promised.vote, 1)), "round {round}: the vote, {vote:?}");
    let state = openraft::storage::RaftLogStorage::get_log_state(&mut log).await.unwrap();
    let purged = state.last_purged_log_id.map(|id| id.index);
    assert!(purged >= promised.purged && purged <= promised.purge_asked, "round {round}: the purge, {purged:?}");
    let found = reader.try_get_log_entries(0..).await.unwrap();
    let found: BTreeMap<u64, _> = found.into_iter().map(|entry| (entry.log_id.index, entry)).collect();
    for (index, term) in promised.entries.iter().filter(|(index, _)| Some(**index) > purged) {
        assert_eq!(found.get(index), Some(&entry(*term, *index)), "round {round}: entry {index}");
    }
    drop(reader);
    log.close().await.unwrap();
    writer.join().unwrap().unwrap();
}

fn check_history(folder: &Path, promised: &Promised, round: u64) {
    let disk = etebar_node::storage::disk::open_sled(&folder.join("history"), 4 << 20).unwrap();
    let history = History::open(disk).unwrap();
    let records = history.checkpoint().records;
    assert!(records >= promised.checkpoint, "round {round}: {records} records, {} promised", promised.checkpoint);
    let mut last = 0;
    history
        .replay(1..=records, |page| {
            for found in &page.records {
                last += 1;
                assert_eq!(*found, record(last), "round {round}");
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(last, records, "round {round}");
    // All of them are charges by one seller to one phone.
    let all = usize::try_from(records).unwrap();
    assert!(history.entries_of(2, 1, all).unwrap().into_iter().eq(1..=records), "round {round}: a seller's entries");
    let phone = ledger::Phone::new(989_123_456_789).unwrap();
    let charges = history.charges_of(phone, records, records / 2 + 1, 1_000, &mut RecordCursor::default()).unwrap();
    let numbers = charges.iter().map(|charge| charge.number);
    assert!(numbers.take(1_000).eq((records / 2 + 1..=records).take(1_000)), "round {round}: a phone's charges");
}
