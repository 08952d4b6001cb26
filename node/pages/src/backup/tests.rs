//! A backup that was written is read again; any other bytes are refused, each for its own reason.

use ledger::{
    Action, ApiKeyHash, CreateSeller, Digest, Event, Genesis, Name, PAGE_RECORDS, PageMark, Record, RecordChain,
    Refusal, Refused, Time, page_of,
};
use uuid::Uuid;

use super::*;
use crate::page;

const LEDGER: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

/// A history of so many records that move nothing, page by page, and the digest over them.
struct Books {
    pages: Vec<Vec<u8>>,
    digest: Digest,
}

fn record(number: u64) -> Record {
    let event = if number == 1 {
        Event::Genesis(Genesis {
            ledger: LEDGER,
            epoch: 1,
            currency: Name::new("IRT").unwrap(),
            decimals: 0,
            key_window_ms: 1_000,
            keys_max: 10,
            rules: 3,
            admin_key: ApiKeyHash([9; 32]),
        })
    } else {
        let name = Name::new(&format!("shop {number}")).unwrap();
        let action = Action::CreateSeller(CreateSeller { name });
        Event::Refused(Refused { action, refusal: Refusal::NameTaken })
    };
    Record {
        number,
        time: Time(1_700_000_000_000 + number),
        actor: u64::from(number > 1),
        idempotency_key: None,
        origin: None,
        event,
    }
}

fn books(records: u64) -> Books {
    let mut chain = RecordChain::default();
    let mut pages = Vec::new();
    for first in (1..=records).step_by(usize::try_from(PAGE_RECORDS).unwrap()) {
        let last = records.min(page::last_of(page_of(first)));
        let of_page: Vec<_> = (first..=last).map(|number| std::sync::Arc::new(record(number))).collect();
        let record_digest = chain.digest();
        let mark = PageMark { ledger: LEDGER, first, time: of_page[0].time, record_digest, ..PageMark::default() };
        pages.push(page::encode(&mark, &of_page).unwrap());
        for record in &of_page {
            chain.push(LEDGER, record);
        }
    }
    Books { pages, digest: chain.digest() }
}

fn head(records: u64, after: u64) -> Head {
    let continues = (after > 0).then(|| Continues { records: after, digest: books(after).digest });
    Head {
        ledger: LEDGER,
        cluster: Uuid::from_u128(8),
        epoch: 1,
        rules: 3,
        position: Some(Position { term: 2, leader: 3, index: 300 }),
        first_page: Head::page_after(after),
        records,
        entries: 0,
        record_digest: books(records).digest,
        entry_digest: Digest::ZERO,
        totals: None,
        continues,
        made_ms: 1_700_000_000_000,
    }
}

/// A backup of so many records, for whoever has the first `after` of them.
fn backup(records: u64, after: u64) -> Vec<u8> {
    let (head, pages) = (head(records, after), books(records).pages);
    let mut writer = Writer::begin(Vec::new(), head.clone()).unwrap();
    for number in head.pages() {
        writer.page(number, &pages[usize::try_from(number).unwrap()]).unwrap();
    }
    writer.finish().unwrap();
    writer.into_out()
}

/// All pages of a file, decoded; or why it is refused.
fn read(bytes: &[u8]) -> Result<u64, BackupError> {
    let (head, reader) = Reader::open(bytes)?;
    let mut records = head.continues.map_or(0, |continues| continues.records);
    for page in reader {
        let page = head.decode(&page?)?;
        records = page.records.last().map_or(records, |record| record.number);
    }
    assert_eq!(records, head.records, "a backup that ends well is whole");
    Ok(records)
}

fn chained(files: &[&[u8]]) -> Result<Vec<(u64, usize)>, ChainError> {
    let inputs = files.iter().enumerate().map(|(at, bytes)| (format!("file {at}"), *bytes));
    let chain = Chain::open(inputs)?;
    chain.decoded().map(|page| page.map(|(page, decoded)| (page.number, decoded.records.len()))).collect()
}

#[test]
fn what_was_written_is_read_again() {
    for records in [0, 1, 63, 64, 65, 200] {
        assert_eq!(read(&backup(records, 0)).unwrap(), records);
    }
}

#[test]
fn every_flipped_byte_is_refused() {
    let whole = backup(70, 0);
    for at in 0..whole.len() {
        for bit in [1, 0x80] {
            let mut altered = whole.clone();
            altered[at] ^= bit;
            assert!(read(&altered).is_err(), "byte {at} with {bit:#x} flipped is taken for whole");
        }
    }
}

#[test]
fn every_cut_is_known_as_a_cut() {
    let whole = backup(70, 0);
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        assert!(matches!(error, BackupError::Cut { .. }), "after {length} bytes: {error}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(matches!(read(&longer).unwrap_err(), BackupError::Altered { .. }));
}

#[test]
fn pages_that_are_missing_repeated_or_exchanged_are_refused() {
    let (head, pages) = (head(200, 0), books(200).pages);
    let frame = |number: u64| {
        let sealed = super::frame::seal_page(number, &pages[usize::try_from(number).unwrap()]);
        [u32::try_from(sealed.len()).unwrap().to_be_bytes().as_slice(), &sealed].concat()
    };
    let begun = Writer::begin(Vec::new(), head).unwrap().out().clone();
    let end = backup(200, 0).split_off(begun.len() + (0..4).map(|number| frame(number).len()).sum::<usize>());
    let file = |order: &[u64]| {
        let frames: Vec<u8> = order.iter().flat_map(|number| frame(*number)).collect();
        [begun.as_slice(), &frames, &end].concat()
    };
    assert_eq!(read(&file(&[0, 1, 2, 3])).unwrap(), 200);
    for order in [[0, 2, 1, 3].as_slice(), &[0, 1, 3], &[0, 1, 1, 2, 3], &[1, 2, 3], &[0, 1, 2], &[]] {
        assert!(read(&file(order)).is_err(), "{order:?}");
    }
}

#[test]
fn a_newer_build_and_another_kind_of_file_are_named() {
    let whole = backup(3, 0);
    let mut newer = whole.clone();
    newer[11] = 2;
    let error = read(&newer).unwrap_err();
    assert!(error.to_string().contains("of a newer build (version 2 of the file): use that build"), "{error}");
    let head = Head { rules: ledger::RULES_VERSION + 1, ..head(0, 0) };
    let mut rules = Writer::begin(Vec::new(), head).unwrap();
    rules.finish().unwrap();
    let rules = rules.into_out();
    assert!(matches!(read(&rules).unwrap_err(), BackupError::Newer { .. }));
    assert!(matches!(read(b"{\"items\":[]}").unwrap_err(), BackupError::Foreign));
}

#[test]
fn a_writer_takes_no_page_out_of_order_and_ends_no_backup_early() {
    let pages = books(130).pages;
    let mut writer = Writer::begin(Vec::new(), head(130, 0)).unwrap();
    assert!(writer.page(1, &pages[1]).is_err());
    writer.page(0, &pages[0]).unwrap();
    assert!(writer.page(0, &pages[0]).is_err());
    assert!(writer.finish().is_err());
}

/// As a download that was cut is continued with the pages of a later stream.
#[test]
fn a_backup_that_was_cut_is_continued_to_the_same_bytes() {
    let whole = backup(200, 0);
    for length in (0..whole.len()).step_by(97) {
        let Ok((head, mut reader)) = Reader::open(&whole[..length]) else { continue };
        let pages = reader.by_ref().take_while(Result::is_ok).count() as u64;
        let mut continued = whole[..usize::try_from(reader.offset()).unwrap()].to_vec();
        let mut writer = Writer::resume(&mut continued, head, reader.progress());
        let (_, later) = Reader::open(std::io::Cursor::new(backup(200, pages * PAGE_RECORDS))).unwrap();
        for page in later {
            let BackupPage { number, bytes, place: _ } = page.unwrap();
            writer.page(number, &bytes).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(continued, whole, "cut after {length} bytes");
    }
}

#[test]
fn increments_continue_what_they_were_made_for() {
    let (whole, first, second) = (backup(70, 0), backup(150, 70), backup(192, 150));
    let pages = chained(&[&whole, &first, &second]).unwrap();
    assert_eq!(pages, [(0, 64), (1, 64), (2, 64)], "each page once, as the last file has it");
    assert_eq!(chained(&[&backup(128, 0), &backup(128, 128)]).unwrap(), [(0, 64), (1, 64)], "an increment of nothing");
    for wrong in [[&whole, &second], [&first, &second], [&whole, &whole], [&first, &whole]] {
        let error = chained(&[wrong[0], wrong[1]]).unwrap_err();
        assert!(matches!(error.error, BackupError::Elsewhere { .. }), "{error}");
    }
    let cut = chained(&[&whole, &first[..first.len() - 1], &second]).unwrap_err();
    assert!(cut.to_string().starts_with("file 1: it is cut short"), "{cut}");
}

/// A backup of one record, as this version writes and reads it.
const GOLDEN: [&str; 9] = [
    "65746262636b75700000000100000082029486f1b91ba0a9d700100123456789abcdef0123456789abcdef10000000000000",
    "000000000000000000080103010203fb2c010001005e0bc35bf987b46ff9dab7bd120cde2492625c36f13cecbd10084308db",
    "d25af200000000000000000000000000000000000000000000000000000000000000000000fd0068e5cf8b010000000000d1",
    "02193c2a829acc00ae010000000000000000020123456789abcdef0123456789abcdef00000000000000010000018bcfe568",
    "0100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "000000000000000000000000000000000000000000000000000000000000000000004a0201fd0168e5cf8b01000000000010",
    "0123456789abcdef0123456789abcdef010349525400fbe8030a030909090909090909090909090909090909090909090909",
    "0909090909090909090000003a026e6533c1912b902402000000000000000100000000000000bf5e0bc35bf987b46ff9dab7",
    "bd120cde2492625c36f13cecbd10084308dbd25af2",
];

/// The bytes of a backup stay. `docs/format.md` describes them.
#[test]
fn the_bytes_of_a_backup() {
    let hex = backup(1, 0).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(hex, GOLDEN.concat());
}
