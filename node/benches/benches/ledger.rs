//! What the rules about money cost: deciding, applying, idempotency keys, both chains. Run: `just benches`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::Book;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledger::{Digest, Entry, EntryChain, PAGE_RECORDS, Record, RecordChain, page_of};

const CHARGES: u64 = 1_000;

/// A ledger of 1,000 sellers that sold so often.
fn book_of(charges: u64) -> Book {
    let mut book = Book::new(1_000);
    for command in book.charges(0, charges) {
        book.submit(&command);
    }
    book
}

/// Charges under new keys, among as many remembered keys as the name says.
fn charges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1,000 charges");
    group.throughput(Throughput::Elements(CHARGES));
    for (called, keys) in [("20,000 keys", 20_000), ("1 million keys", 1_000_000)] {
        let book = book_of(keys);
        let commands = book.charges(keys, keys + CHARGES);
        group.bench_function(format!("decide, {called}"), |bencher| {
            bencher.iter(|| commands.iter().for_each(|command| drop(black_box(book.decide(command)))));
        });
        group.sample_size(20);
        // Each record applies once: the charges of each round follow those of the one before.
        let (mut grown, mut next) = (book.clone(), keys);
        drop(book);
        group.bench_function(format!("apply, {called}"), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    let records = grown.records_of(&grown.charges(next, next + CHARGES));
                    next += CHARGES;
                    let began = Instant::now();
                    for record in &records {
                        grown.state.apply(record);
                    }
                    took += began.elapsed();
                }
                took
            });
        });
    }
    group.finish();
}

/// Finding the record of an idempotency key that was used, among a million.
fn keys(criterion: &mut Criterion) {
    const KEYS: u64 = 1_000_000;
    let book = book_of(KEYS);
    let commands = book.charges(0, CHARGES);
    let mut group = criterion.benchmark_group("1,000 keys");
    group.throughput(Throughput::Elements(CHARGES));
    group.bench_function("found among 1 million", |bencher| {
        bencher.iter(|| assert!(commands.iter().all(|command| book.asks_for_its_record(command))));
    });
    group.finish();
}

/// Both digests, over a page of charges.
fn chains(criterion: &mut Criterion) {
    let mut book = book_of(20_000);
    while !book.state.records().is_multiple_of(PAGE_RECORDS) {
        let next = book.state.records();
        book.submit(&book.charges(next, next + 1)[0]);
    }
    let next = book.state.records();
    let records: Vec<Record> = book.records_of(&book.charges(next, next + PAGE_RECORDS));
    let (ledger, ids, page) = (book.state.ledger_id(), book.state.ids(), page_of(next + 1));
    let entries: Vec<Entry<'_>> = records.iter().filter_map(|record| record.entry(&ids, "seller 1")).collect();
    let mut group = criterion.benchmark_group("a page of charges");
    group.throughput(Throughput::Elements(PAGE_RECORDS));
    group.bench_function("chain of records", |bencher| {
        bencher.iter(|| {
            let mut chain = RecordChain::before_page(page, Digest::ZERO);
            for record in &records {
                chain.push(ledger, record);
            }
            black_box(chain.digest())
        });
    });
    group.bench_function("chain of entries", |bencher| {
        bencher.iter(|| {
            let mut chain = EntryChain::before_page(page, Digest::ZERO);
            for entry in &entries {
                chain.push(ledger, entry);
            }
            black_box(chain.digest())
        });
    });
    group.finish();
}

criterion_group!(benches, charges, keys, chains);
criterion_main!(benches);
