//! What stands before each page: from memory and from headers on the disk.

use std::sync::Arc;

use ledger::{PAGE_RECORDS, PageMark, Time, page_of};
use uuid::Uuid;

use super::{History, checkpoint, created, digest, mark, push, record};
use crate::storage::disk::Disk;
use crate::storage::format::keys;
use crate::storage::history::page;

/// A history of so many records, of which the newest are in memory alone.
async fn history_of(records: u64) -> (Arc<dyn Disk>, History) {
    let (_disks, disk, history) = created().await;
    push(&history, records - 100);
    history.write(checkpoint(records - 100)).await.unwrap();
    push(&history, 100);
    (disk, history)
}

fn check(history: &History, records: u64) {
    for page in 0..=page_of(records) {
        assert_eq!(history.mark(page).unwrap(), mark(page));
        assert_eq!(history.mark(page).unwrap(), mark(page), "again, from the cache");
    }
    let error = history.mark(page_of(records) + 1).unwrap_err().to_string();
    assert!(error.contains("there is no record"), "{error}");
    for number in (1..=records).step_by(97).chain([64, 65, records]) {
        assert_eq!(history.page_of_entry(number).unwrap(), page_of(number), "entry {number}");
        let from = history.record_from(record(number).time).unwrap();
        assert!(from <= number && number - from <= PAGE_RECORDS, "record {number}: the search starts near, at {from}");
        assert_eq!(history.digest_at(number).unwrap(), digest(number));
    }
    assert_eq!(history.page_of_entry(records + 1).unwrap(), page_of(records));
    assert_eq!(history.record_from(Time(0)).unwrap(), 1);
    assert_eq!(history.digest_at(0).unwrap(), ledger::Digest::ZERO);
}

#[tokio::test]
async fn marks_are_found_in_memory_and_on_the_disk() {
    let records = 20_000;
    let (disk, history) = history_of(records).await;
    assert!(history.tail_lock().mark(0).is_none(), "old marks left the memory");
    check(&history, records);
    drop(history);
    check(&History::open(disk).unwrap(), records - 100);
}

#[tokio::test]
async fn an_empty_history_has_no_marks_and_begins_with_record_1() {
    let (_disks, _disk, history) = created().await;
    assert!(history.mark(0).is_err());
    assert_eq!((history.record_from(Time(7)).unwrap(), history.page_of_entry(1).unwrap()), (1, 0));
}

#[tokio::test]
async fn a_header_that_is_not_the_pages_is_named() {
    let (disk, history) = history_of(30_000).await;
    let write = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = page::encode(&mark(3), &[Arc::new(record(193))]).unwrap();
        change(&mut bytes);
        page::write(&*disk, 3, &bytes).unwrap();
        history.replay(193..=193, |_| Ok(())).unwrap_err().to_string()
    };
    let place = "page 3 of the history (records 193 to 256) is damaged: ";
    let first = write(&|bytes| bytes[24] ^= 1);
    assert_eq!(first, format!("{place}its header is that of the page that begins with record 192"));
    assert_eq!(history.mark(3).unwrap_err().to_string(), first, "also where the header alone is read");
    let time = write(&|bytes| bytes[32] ^= 1);
    assert_eq!(time, format!("{place}its header has another time than its first record"));
    assert_eq!(write(&|bytes| bytes[0] = 9), format!("{place}version 9 is not known to this build"));
    assert_eq!(write(&|bytes| bytes.truncate(page::HEADER_BYTES - 1)), format!("{place}its header is cut short"));
    assert!(disk.get(&keys::page(3, 0)).unwrap().is_some());
}

#[test]
fn a_page_keeps_its_bytes() {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mark = PageMark {
        ledger: Uuid::from_u128(7),
        first: 65,
        time: record(65).time,
        entries: 60,
        keyed: 50,
        record_digest: ledger::Digest([1; 32]),
        entry_digest: ledger::Digest([2; 32]),
    };
    let bytes = page::encode(&mark, &[Arc::new(record(65))]).unwrap();
    let (header, record) = bytes.split_at(page::HEADER_BYTES);
    let digests = "01".repeat(32) + &"02".repeat(32);
    let numbers = "00000000000000410000018bcfe56841000000000000003c0000000000000032";
    assert_eq!(hex(header), format!("0200000000000000000000000000000007{numbers}{digests}"));
    let key = "6b".repeat(8);
    assert_eq!(
        hex(record),
        format!("000000290241fd4168e5cf8b010000030108{key}0902fd152f5a4ce6000000fbc9134100 004140").replace(' ', "")
    );
}
