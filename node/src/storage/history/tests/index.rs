//! The lists that records are found by, and what concluded what: over checkpoints, cuts, installs and damage.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{
    Amount, Balance, Charged, Conclusion, CreditApproved, CreditRejected, CreditRequested, Digest, Event, Note,
    PageMark, Phone, Record, RecordNumber, RequestShown, Reversed, Time, page_of,
};

use super::super::index::IndexWriter;
use super::super::{RecordCursor, page};
use super::{Checkpoint, History, created, model};
use crate::storage::disk::{Disk, Pair};
use crate::storage::format::keys;
use crate::storage::model::{Dice, log_id};

const SELLERS: u64 = 5;
const PHONES: u64 = 40;

fn phone(number: u64) -> Phone {
    Phone::new(989_120_000_000 + number).unwrap()
}

/// A history of charges, requests, verdicts and reversals.
#[derive(Default)]
struct Book {
    records: Vec<Record>,
    of_phones: BTreeMap<u64, (u64, RecordNumber)>,
    charges: Vec<(RecordNumber, u64, Phone)>,
    requests: Vec<(RecordNumber, u64)>,
}

impl Book {
    fn drawn(dice: &mut Dice, count: usize) -> Self {
        let mut book = Self::default();
        while book.records.len() < count {
            let event = book.event(dice);
            let number = book.records.len() as u64 + 1;
            book.records.push(Record {
                number,
                time: Time(number),
                actor: 3,
                idempotency_key: None,
                origin: None,
                event,
            });
        }
        book
    }

    fn event(&mut self, dice: &mut Dice) -> Event {
        let number = self.records.len() as u64 + 1;
        let (amount, entry, balance) = (Amount::new(5).unwrap(), number, Balance::default());
        match dice.below(20) {
            0 if !self.charges.is_empty() => {
                let (charge, seller, phone) = self.charges.swap_remove(dice.index(self.charges.len()));
                Event::Reversed(Reversed { charge, seller, phone, amount, reason: Note::empty(), entry, balance })
            }
            1 if !self.requests.is_empty() => {
                let (number, seller) = self.requests.swap_remove(dice.index(self.requests.len()));
                let request = RequestShown {
                    number,
                    seller,
                    amount,
                    note: Note::empty(),
                    reference: None,
                    created_at: Time(number),
                };
                let reason = Note::empty();
                if dice.once_in(2) {
                    Event::CreditApproved(CreditApproved { request, reason, entry, balance })
                } else {
                    Event::CreditRejected(CreditRejected { request, reason })
                }
            }
            2 | 3 => {
                let seller = 1 + dice.below(SELLERS);
                self.requests.push((number, seller));
                Event::CreditRequested(CreditRequested { seller, amount, note: Note::empty(), reference: None })
            }
            _ => {
                // One phone has most of the charges.
                let phone = if dice.once_in(3) { phone(dice.below(PHONES)) } else { phone(0) };
                let seller = 1 + dice.below(SELLERS);
                self.charges.push((number, seller, phone));
                let (count, last) = self.of_phones.entry(phone.digits()).or_default();
                *count += 1;
                let previous = std::mem::replace(last, number);
                let (phone_charge, reference) = (*count, None);
                Event::Charged(Charged { seller, phone, amount, entry, balance, reference, phone_charge, previous })
            }
        }
    }

    fn first(&self, count: u64) -> &[Record] {
        &self.records[..usize::try_from(count).unwrap()]
    }

    fn push_to(&self, history: &History, upto: u64) {
        for number in history.records() + 1..=upto {
            let mark = PageMark { first: number, time: Time(number), ..PageMark::default() };
            history.push(self.first(number).last().unwrap().clone(), || mark);
        }
    }

    fn listed(&self, upto: u64, is: impl Fn(&Record) -> bool) -> Vec<RecordNumber> {
        self.first(upto).iter().filter(|record| is(record)).map(|record| record.number).collect()
    }

    /// A history of the first `upto` records gives each list from several places on, in pieces.
    fn check(&self, history: &History, upto: u64, dice: &mut Dice) {
        for seller in 1..=SELLERS {
            let entries = self.listed(upto, |record| record.movement().is_some() && record.seller() == Some(seller));
            compare(&entries, upto, dice, |from, most| history.entries_of(seller, from, most).unwrap());
            let filed = |record: &Record| matches!(record.event, Event::CreditRequested(_));
            let requests = self.listed(upto, |record| filed(record) && record.seller() == Some(seller));
            compare(&requests, upto, dice, |from, most| history.requests_of(Some(seller), from, most).unwrap());
            let all = self.listed(upto, filed);
            compare(&all, upto, dice, |from, most| history.requests_of(None, from, most).unwrap());
        }
        for phone in (0..PHONES).map(phone) {
            let of_phone = |record: &Record| matches!(&record.event, Event::Charged(charged) if charged.phone == phone);
            let charges = self.listed(upto, of_phone);
            let last = charges.last().copied().unwrap_or(0);
            compare(&charges, upto, dice, |from, most| {
                let mut cursor = RecordCursor::default();
                let found = history.charges_of(phone, last, from, most, &mut cursor).unwrap();
                assert!(found.len() <= most + 2 * 64, "{} for {most}", found.len());
                found.iter().map(|record| record.number).take(most).collect()
            });
        }
        let concluded: BTreeMap<RecordNumber, Conclusion> =
            self.first(upto).iter().filter_map(Record::concludes).collect();
        for number in 0..=upto + 1 {
            assert_eq!(history.conclusion(number).unwrap(), concluded.get(&number).copied(), "of {number}");
        }
    }
}

fn compare(
    expected: &[RecordNumber],
    upto: u64,
    dice: &mut Dice,
    read: impl Fn(RecordNumber, usize) -> Vec<RecordNumber>,
) {
    for from in [1, 1 + dice.below(upto + 1), upto + 1] {
        let most = 1 + dice.index(300);
        let expected: Vec<_> = expected.iter().copied().filter(|number| *number >= from).take(most).collect();
        assert_eq!(read(from, most), expected, "{most} from {from}");
    }
}

fn checkpoint(records: u64) -> Checkpoint {
    Checkpoint { applied: Some(log_id(1, records)), records, digest: Digest::ZERO, ..Checkpoint::default() }
}

/// All that the index has on a disk.
pub(super) fn index_of(disk: &dyn Disk) -> Vec<Pair> {
    disk.range(&[keys::ENTRIES], &[keys::ANCHORS + 2], usize::MAX).unwrap()
}

#[tokio::test]
async fn lists_are_right_over_checkpoints_and_any_cut() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let book = Book::drawn(&mut dice, 4_000);
        let (disks, disk, mut history) = created().await;
        let mut durable = 0;
        for _boot in 0..4 {
            for _ in 0..dice.below(3) {
                book.push_to(&history, (history.records() + dice.below(600)).min(3_400));
                durable += dice.below(history.records() - durable + 1);
                history.write(checkpoint(durable)).await.unwrap();
                book.check(&history, history.records(), &mut dice);
            }
            book.push_to(&history, (history.records() + dice.below(600)).min(4_000));
            half_a_checkpoint(&history, &mut dice);
            book.check(&history, history.records(), &mut dice);
            disks.cut(&mut dice);
            history = History::open(Arc::clone(&disk)).unwrap();
            assert_eq!(history.records(), durable, "seed {seed}");
            book.check(&history, durable, &mut dice);
        }
    }
}

/// Writes pages and lists as a checkpoint does, and stops before it is done.
fn half_a_checkpoint(history: &History, dice: &mut Dice) {
    let (before, pushed) = (history.checkpoint().records, history.records());
    let mut index = IndexWriter::after(before);
    for page in page_of(before + 1)..=page_of(pushed) {
        let (mark, records) = history.tail_lock().page(page, pushed);
        page::write(&*history.disk, page, &page::encode(&mark, &records).unwrap()).unwrap();
        records.iter().try_for_each(|record| index.take(&*history.disk, record)).unwrap();
        if dice.once_in(4) {
            index.write(&*history.disk).unwrap();
        }
        if dice.once_in(8) {
            return;
        }
    }
}

#[tokio::test]
async fn lists_have_the_same_bytes_however_often_they_were_written() {
    let book = Book::drawn(&mut Dice(7), 6_000);
    let mut found = Vec::new();
    for step in [6_000, 1_000, 77] {
        let (_disks, disk, history) = created().await;
        while history.records() < 6_000 {
            book.push_to(&history, (history.records() + step).min(6_000));
            history.write(checkpoint(history.records())).await.unwrap();
        }
        found.push(index_of(&*disk));
    }
    assert!(found[0].len() > 30, "{} keys", found[0].len());
    assert!(found[0] == found[1] && found[1] == found[2]);
}

#[tokio::test]
async fn a_start_writes_no_list_again() {
    let book = Book::drawn(&mut Dice(8), 1_000);
    let (_disks, disk, history) = created().await;
    book.push_to(&history, 1_000);
    history.write(checkpoint(1_000)).await.unwrap();
    let before = index_of(&*disk);
    drop(history);
    let history = History::open(Arc::clone(&disk)).unwrap();
    history.replay(1..=1_000, |_| Ok(())).unwrap();
    history.write(checkpoint(1_000)).await.unwrap();
    assert!(index_of(&*disk) == before);
    book.check(&history, 1_000, &mut Dice(9));
}

#[tokio::test]
async fn installed_pages_bring_their_lists() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let book = Book::drawn(&mut dice, 3_000);
        let (_from_disks, _from_disk, from) = created().await;
        book.push_to(&from, 3_000);
        from.write(checkpoint(3_000)).await.unwrap();
        let (disks, disk, mut to) = created().await;
        let own = dice.below(1_000);
        book.push_to(&to, own);
        let durable = dice.below(own + 1);
        to.write(checkpoint(durable)).await.unwrap();
        // A transfer that is cut, and perhaps a restart, before the one that arrives.
        let mut page = page_of(durable + 1);
        for _ in 0..dice.below(30) {
            to.install_page(page, &from.page(page, 3_000).unwrap(), 3_000).await.unwrap();
            page += 1;
        }
        match dice.below(3) {
            0 => {
                disks.cut(&mut dice);
                to = History::open(Arc::clone(&disk)).unwrap();
                page = page_of(durable + 1);
            }
            1 => {
                book.push_to(&to, own + 100);
                to.write(checkpoint(own + 50)).await.unwrap();
                page = page_of(own + 51);
            }
            _ => {}
        }
        for page in page..=page_of(3_000) {
            to.install_page(page, &from.page(page, 3_000).unwrap(), 3_000).await.unwrap();
        }
        book.check(&to, to.records(), &mut dice);
        to.install(checkpoint(3_000)).await.unwrap();
        book.check(&to, 3_000, &mut dice);
        disks.cut(&mut dice);
        let to = History::open(Arc::clone(&disk)).unwrap();
        book.check(&to, 3_000, &mut dice);
        assert!(index_of(&*disk) == index_of(&*from.disk), "seed {seed}");
    }
}

/// Staged pages of an earlier process are not sent again; their lists are made from the disk.
#[tokio::test]
async fn pages_of_an_earlier_transfer_are_listed_as_well() {
    let book = Book::drawn(&mut Dice(3), 2_000);
    let (_from_disks, _from_disk, from) = created().await;
    book.push_to(&from, 2_000);
    from.write(checkpoint(2_000)).await.unwrap();
    let (_disks, disk, to) = created().await;
    for page in 0..10 {
        to.install_page(page, &from.page(page, 2_000).unwrap(), 2_000).await.unwrap();
    }
    let to = History::open(disk).unwrap();
    for page in 10..=page_of(2_000) {
        to.install_page(page, &from.page(page, 2_000).unwrap(), 2_000).await.unwrap();
    }
    to.install(checkpoint(2_000)).await.unwrap();
    book.check(&to, 2_000, &mut Dice(4));
}

#[tokio::test]
async fn lists_are_read_while_a_checkpoint_is_written() {
    let book = Book::drawn(&mut Dice(5), 20_000);
    let (_disks, _disk, history) = created().await;
    book.push_to(&history, 10_000);
    history.write(checkpoint(10_000)).await.unwrap();
    book.push_to(&history, 20_000);
    let history = Arc::new(history);
    let writer = std::thread::spawn({
        let history = Arc::clone(&history);
        move || {
            for to in (10_500..=20_000).step_by(500) {
                futures::executor::block_on(history.write(checkpoint(to))).unwrap();
            }
        }
    });
    let mut dice = Dice(6);
    while !writer.is_finished() {
        book.check(&history, 20_000, &mut dice);
    }
    writer.join().unwrap();
    book.check(&history, 20_000, &mut dice);
}

#[tokio::test]
async fn a_second_conclusion_is_refused_before_it_is_durable() {
    let mut book = Book::drawn(&mut Dice(1), 500);
    let twice = book.records.iter().rev().find(|record| record.concludes().is_some()).unwrap().event.clone();
    let (_disks, _disk, history) = created().await;
    book.push_to(&history, 500);
    history.write(checkpoint(500)).await.unwrap();
    book.records.push(Record {
        number: 501,
        time: Time(501),
        actor: 3,
        idempotency_key: None,
        origin: None,
        event: twice,
    });
    book.push_to(&history, 501);
    let error = history.write(checkpoint(501)).await.unwrap_err().to_string();
    assert!(error.starts_with("refused to conclude a charge or a credit request again"), "{error}");
    assert_eq!(history.checkpoint().records, 500);
}

#[test]
#[should_panic(expected = "a charge is reversed once, and a credit request has one verdict")]
fn a_second_conclusion_of_new_records_stops_the_node() {
    let (_disks, disk) = model();
    futures::executor::block_on(History::create(&*disk)).unwrap();
    let history = History::open(disk).unwrap();
    let reversal = |number| Record {
        number,
        time: Time(1),
        actor: 3,
        idempotency_key: None,
        origin: None,
        event: Event::Reversed(Reversed {
            charge: 1,
            seller: 1,
            phone: phone(1),
            amount: Amount::new(5).unwrap(),
            reason: Note::empty(),
            entry: number,
            balance: Balance::default(),
        }),
    };
    let mark = || PageMark { first: 1, time: Time(1), ..PageMark::default() };
    history.push(reversal(1), mark);
    history.push(reversal(2), mark);
}

#[tokio::test]
async fn a_damaged_list_is_refused_with_its_place() {
    let book = Book::drawn(&mut Dice(2), 2_000);
    let (disks, disk, history) = created().await;
    book.push_to(&history, 2_000);
    history.write(checkpoint(2_000)).await.unwrap();
    let (key, _) = disk.last(&[keys::ENTRIES], &[keys::REQUESTS]).unwrap().unwrap();
    disks.damage("history", &key, |value| value.as_mut().unwrap()[20] ^= 1);
    let error = history.entries_of(SELLERS, 2_000, 10).unwrap_err().to_string();
    assert!(error.starts_with(&format!("the list of the entries of seller {SELLERS} is damaged")), "{error}");
    assert!(history.entries_of(SELLERS, 1, 10).is_ok(), "other blocks are read");
}
