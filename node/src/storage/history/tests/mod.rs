//! What the history promises, on disks in memory that lose what they may, and on sled.

mod cuts;
mod image;
mod index;
mod install;
mod marks;
mod on_disk;
mod staged;

use std::cell::RefCell;
use std::sync::Arc;

use ledger::{
    Amount, Balance, Charged, Digest, Event, IdempotencyKey, PageMark, Phone, Record, RecordChain, Time, page_of,
};
use openraft::Membership;
use uuid::Uuid;

use super::{Checkpoint, History, Page};
use crate::storage::disk::{Disk, Disks};
use crate::storage::model::{ModelDisks, log_id};
use crate::storage::types::{NodeAddresses, StoredMembership};

/// A charge as record `number`; some have a long key.
fn record(number: u64) -> Record {
    let key = "k".repeat(1 + (number * 7 % 64) as usize);
    Record {
        number,
        time: Time(1_700_000_000_000 + number),
        actor: 3,
        idempotency_key: IdempotencyKey::new(&key).ok(),
        origin: None,
        event: Event::Charged(Charged {
            seller: 2,
            phone: Phone::new(989_123_456_789).unwrap(),
            amount: Amount::new(5_000 + number).unwrap(),
            entry: number,
            balance: Balance::default(),
            reference: None,
            phone_charge: number,
            previous: number - 1,
        }),
    }
}

/// What stands before `page`, where nothing but [`record`]s is.
fn mark(page: u64) -> PageMark {
    let first = page * ledger::PAGE_RECORDS + 1;
    let mut mark = PageMark {
        ledger: Uuid::from_u128(7),
        first,
        time: record(first).time,
        entries: first - 1,
        keyed: first - 1,
        record_digest: digest(first - 1),
        entry_digest: Digest([9; 32]),
    };
    mark.entry_digest.0[..8].copy_from_slice(&first.to_be_bytes());
    mark
}

/// The chain over the first so many records.
fn digest(records: u64) -> Digest {
    thread_local! {
        /// The chain so far, and the digests of it.
        static DIGESTS: RefCell<(RecordChain, Vec<Digest>)> = RefCell::new((RecordChain::default(), vec![Digest::ZERO]));
    }
    DIGESTS.with_borrow_mut(|(chain, digests)| {
        for number in digests.len() as u64..=records {
            chain.push(Uuid::from_u128(7), &record(number));
            digests.push(chain.digest());
        }
        digests[usize::try_from(records).unwrap()]
    })
}

fn push_one(history: &History, record: Record) {
    let page = page_of(record.number);
    history.push(record, || mark(page));
}

fn push(history: &History, count: u64) {
    let first = history.records() + 1;
    (first..first + count).for_each(|number| push_one(history, record(number)));
}

/// The checkpoint after `records` records.
fn checkpoint(records: u64) -> Checkpoint {
    let members = [(1, NodeAddresses { api: "a:1".to_owned(), peer: "a:2".to_owned() })];
    let membership = Membership::new(vec![[1].into()], std::collections::BTreeMap::from(members)).unwrap();
    Checkpoint {
        applied: Some(log_id(1, records)),
        membership: StoredMembership::new(Some(log_id(1, 0)), membership),
        records,
        digest: digest(records),
        rules: 1,
    }
}

fn replayed(history: &History, last: u64) -> Vec<Record> {
    let mut records = Vec::new();
    let take = |page: &Page| {
        assert_eq!(page.mark, mark(page_of(page.records[0].number)));
        records.extend_from_slice(&page.records);
        Ok(())
    };
    history.replay(1..=last, take).unwrap();
    records
}

fn expected(last: u64) -> Vec<Record> {
    (1..=last).map(record).collect()
}

fn model() -> (ModelDisks, Arc<dyn Disk>) {
    let disks = ModelDisks::default();
    let disk = disks.open("history").unwrap();
    (disks, disk)
}

async fn created() -> (ModelDisks, Arc<dyn Disk>, History) {
    let (disks, disk) = model();
    History::create(&*disk).await.unwrap();
    let history = History::open(Arc::clone(&disk)).unwrap();
    (disks, disk, history)
}

#[tokio::test]
async fn a_scan_reads_in_order_from_memory_and_from_pages() {
    let (_disks, _disk, history) = created().await;
    push(&history, 40_000);
    let scanned = |first, last| -> Vec<u64> {
        history.scan(first..=last).unwrap().records.iter().map(|record| record.number).collect()
    };
    let checked = |history: &History| {
        for (first, last) in [(1, 1), (60, 70), (1, 200), (39_000, 40_000), (40_000, 40_000), (5, 4)] {
            assert_eq!(scanned(first, last), (first..=last).collect::<Vec<_>>());
        }
        let scanned = history.scan(64..=65).unwrap();
        assert_eq!(*scanned.records[1], record(65));
        assert_eq!(scanned.marks.iter().map(|mark| mark.first).collect::<Vec<_>>(), [65]);
        let beyond = history.scan(39_999..=40_001);
        assert!(matches!(beyond, Err(crate::storage::StorageError::NoRecord { number: 40_001, last: 40_000 })));
    };
    checked(&history);
    history.write(checkpoint(40_000)).await.unwrap();
    checked(&history);
}
