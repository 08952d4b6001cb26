//! What storing costs: encoding and decoding a record, pages of the history, appends to the log. Run: `just benches`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::Book;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etebar_node::storage::disk::open_sled;
use etebar_node::storage::format::{Kind, codec};
use etebar_node::storage::{Checkpoint, Disks, History, LogId, LogSettings, LogStore, Payload, SledDisks, TypeConfig};
use ledger::{PAGE_RECORDS, PageMark, Record};
use openraft::entry::RaftEntry as _;
use openraft::storage::{IOFlushed, RaftLogStorage as _};
use openraft::type_config::TypeConfigExt as _;
use openraft::vote::RaftLeaderIdExt as _;

const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// A record on its way to a page, and back.
fn codecs(criterion: &mut Criterion) {
    let book = Book::new(1_000);
    let records = book.records_of(&book.charges(0, 1));
    let record = &records[0];
    let encoded = codec::encode(Kind::Record, record).expect("a record can be encoded");
    let mut group = criterion.benchmark_group("a charge's record");
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| codec::encode(Kind::Record, black_box(record))));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| codec::decode::<Record>(Kind::Record, black_box(&encoded)).expect("it was encoded"));
    });
    group.finish();
}

/// 100 pages of charges: written with a checkpoint that is synced, and read.
fn pages(criterion: &mut Criterion) {
    const PAGES: u64 = 100;
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let runtime = runtime();
    let mut book = Book::new(1_000);
    let disk = open_sled(&folder.path().join("history"), CACHE_BYTES).expect("a database");
    runtime.block_on(History::create(&*disk)).expect("an empty history");
    let history = History::open(disk).expect("it was made");
    for (record, mark) in std::mem::take(&mut book.first) {
        history.push(record, || mark);
    }
    let mut group = criterion.benchmark_group("100 pages of charges");
    group.throughput(Throughput::Elements(PAGES * PAGE_RECORDS)).sample_size(10);
    let mut next = 0;
    group.bench_function("write, with a sync", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                let commands = book.charges(next, next + PAGES * PAGE_RECORDS);
                next += PAGES * PAGE_RECORDS;
                let records: Vec<(Record, PageMark)> = commands
                    .iter()
                    .map(|command| {
                        let record = book.submit(command);
                        (record, book.state.page_mark())
                    })
                    .collect();
                let began = Instant::now();
                for (record, mark) in records {
                    history.push(record, || mark);
                }
                let to = Checkpoint { records: history.records(), ..Checkpoint::default() };
                runtime.block_on(history.write(to)).expect("the disk takes it");
                took += began.elapsed();
            }
            took
        });
    });
    let last = PAGES * PAGE_RECORDS;
    group.bench_function("read and decode", |bencher| {
        bencher.iter(|| {
            (1..=PAGES).for_each(|page| drop(black_box(history.page(page, last).expect("it was written"))));
        });
    });
    group.finish();
}

/// One entry of 1,000 charges or so, appended and synced.
fn log(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let runtime = runtime();
    let disks: Arc<dyn Disks> = Arc::new(SledDisks::new(folder.path().to_owned(), CACHE_BYTES));
    runtime.block_on(LogStore::create(&*disks)).expect("an empty log");
    let (mut log, writer) = LogStore::open(disks, LogSettings::for_log_bytes(256 * 1024 * 1024)).expect("it was made");
    let writer = writer.spawn_thread().expect("a thread");
    let mut index = 0;
    let mut group = criterion.benchmark_group("log");
    for bytes in [4 * 1024, 128 * 1024] {
        group.throughput(Throughput::Bytes(bytes));
        let payload = Payload(Bytes::from(vec![7; usize::try_from(bytes).expect("small")]));
        group.bench_function(format!("append {} KiB, with a sync", bytes / 1024), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let (tx, synced) = TypeConfig::oneshot();
                    let entry = openraft::Entry::new(log_id(index), openraft::EntryPayload::Normal(payload.clone()));
                    log.append([entry], IOFlushed::signal(tx)).await.expect("it follows the last one");
                    synced.await.expect("the writer answers").expect("the disk takes it");
                    if index % 512 == 511 {
                        log.purge(log_id(index)).await.expect("it is there");
                    }
                    index += 1;
                });
            });
        });
    }
    group.finish();
    runtime.block_on(log.close()).expect("it can be closed");
    writer.join().expect("the writer does not panic").expect("it ends well");
}

fn log_id(index: u64) -> LogId {
    openraft::LogId::new(<openraft::alias::LeaderIdOf<TypeConfig>>::new_committed(1, 1), index)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

criterion_group!(benches, codecs, pages, log);
criterion_main!(benches);
