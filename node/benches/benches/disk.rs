//! How fast the log takes entries, each synced before the next is submitted, and the space that they take on the disk;
//! and how fast the history takes records. Run: `cd node/benches && cargo bench --bench disk [-- FOLDER]`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use etebar_node::storage::disk::open_sled;
use etebar_node::storage::{Checkpoint, Disks, History, LogSettings, LogStore, Payload, SledDisks, TypeConfig};
use ledger::{Amount, Balance, Charged, Event, PageMark, Phone, Record, Time};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderIdExt;

const FOR: Duration = Duration::from_secs(3);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder =
        tempfile::tempdir_in(std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_else(|| ".".into()))?;
    for bytes in [512, 4 * 1024, 64 * 1024, 1024 * 1024] {
        let place = folder.path().join(bytes.to_string());
        std::fs::create_dir(&place)?;
        runtime.block_on(appends(&place, bytes))?;
    }
    runtime.block_on(records(&folder.path().join("history")))
}

async fn appends(place: &Path, bytes: usize) -> Result<(), Failure> {
    let disks: Arc<dyn Disks> = Arc::new(SledDisks::new(place.to_owned(), 8 * 1024 * 1024));
    LogStore::create(&*disks).await?;
    let (mut log, writer) = LogStore::open(disks, LogSettings::for_log_bytes(256 * 1024 * 1024))?;
    let writer = writer.spawn_thread()?;
    let payload = Payload(Bytes::from(vec![7; bytes]));
    let started = Instant::now();
    let (mut index, mut worst, mut most_on_disk, mut purged) = (0, Duration::ZERO, 0, 0);
    while started.elapsed() < FOR {
        let asked = Instant::now();
        let (tx, synced) = TypeConfig::oneshot();
        let entry = openraft::Entry::new(log_id(index), openraft::EntryPayload::Normal(payload.clone()));
        log.append([entry], IOFlushed::signal(tx)).await?;
        synced.await??;
        worst = worst.max(asked.elapsed());
        index += 1;
        let on_disk = log.bytes_on_disk()?;
        most_on_disk = most_on_disk.max(on_disk);
        if on_disk > 128 * 1024 * 1024 {
            log.purge(log_id(index - 1)).await?;
            purged += 1;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{bytes:>8} bytes an entry: {:>7.0} synced appends/s, worst {worst:?}, {:.1} MB/s; log folder at most {:.0} MiB, {purged} purges, {:.2} bytes on disk a byte",
        index as f64 / seconds,
        index as f64 * bytes as f64 / seconds / 1e6,
        most_on_disk as f64 / 1_048_576.0,
        if purged == 0 { most_on_disk as f64 / (index as f64 * bytes as f64) } else { f64::NAN },
    );
    log.close().await?;
    writer.join().map_err(|_panic| "the writer panicked")??;
    let started = Instant::now();
    let disks: Arc<dyn Disks> = Arc::new(SledDisks::new(place.to_owned(), 8 * 1024 * 1024));
    let (log, _writer) = LogStore::open(disks, LogSettings::for_log_bytes(256 * 1024 * 1024))?;
    println!(
        "{:>24} {:.0} MiB opened and checked in {:?}",
        "",
        log.bytes_on_disk()? as f64 / 1_048_576.0,
        started.elapsed()
    );
    Ok(())
}

fn log_id(index: u64) -> etebar_node::storage::LogId {
    openraft::LogId::new(<openraft::alias::LeaderIdOf<TypeConfig>>::new_committed(1, 1), index)
}

async fn records(place: &Path) -> Result<(), Failure> {
    let disk = open_sled(place, 64 * 1024 * 1024)?;
    History::create(&*disk).await?;
    let history = History::open(disk)?;
    let phone = Phone::new(989_123_456_789).ok_or("a phone")?;
    let started = Instant::now();
    let (mut number, mut worst) = (0, Duration::ZERO);
    for _ in 0..20 {
        for _ in 0..50_000 {
            number += 1;
            let event = Event::Charged(Charged {
                seller: 2,
                phone,
                amount: Amount::new(5000).ok_or("an amount")?,
                entry: number,
                balance: Balance::default(),
                reference: None,
                phone_charge: number,
                previous: number - 1,
            });
            let key = ledger::IdempotencyKey::new(&format!("bench-{number:016}")).ok();
            let time = Time(1_700_000_000_000 + number);
            let mark = PageMark { first: number, time, ..PageMark::default() };
            history.push(Record { number, time, actor: 3, idempotency_key: key, origin: None, event }, || mark);
        }
        let asked = Instant::now();
        history.write(Checkpoint { records: number, ..Checkpoint::default() }).await?;
        worst = worst.max(asked.elapsed());
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "history: {:.0} records/s in 20 checkpoints, worst {worst:?}; {:.0} bytes on disk a record",
        number as f64 / seconds,
        history.bytes_on_disk()? as f64 / number as f64
    );
    let started = Instant::now();
    let mut replayed = 0;
    history.replay(1..=number, |page| {
        replayed += page.records.len();
        Ok(())
    })?;
    println!("history: {:.0} records/s replayed", replayed as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
