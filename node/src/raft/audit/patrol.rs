//! The patrol: pages that were audited long ago are read again, all in turn and a few at a time, whether anybody asks for them
//! or not.
//!
//! An audit that begins with an image does not read the pages before it, and a page on a disk may be damaged after it was
//! audited. Each page has to be undamaged and to lead to what the next one has before it. What a page with other records would
//! have to be is thus known from the next one, and in the end from the chain of the audit.

use ledger::{PAGE_RECORDS, RecordChain, page_of};

use crate::storage::{History, StorageError};

/// Pages of a round. Source: they take about a millisecond, and where nothing else is to be done there is a round each second.
const PAGES: u64 = 4;

/// Which page is next.
#[derive(Debug, Default)]
pub(super) struct Patrol {
    page: u64,
}

impl Patrol {
    /// Reads the next few pages before that of record `audited`. Blocks.
    ///
    /// # Errors
    /// Where one is damaged, or does not lead to the next one.
    pub(super) fn round(&mut self, history: &History, audited: u64) -> Result<(), StorageError> {
        // Only pages that another one follows.
        let end = page_of(audited);
        for _ in 0..PAGES {
            if self.page >= end {
                self.page = 0;
                return Ok(());
            }
            check(history, self.page)?;
            self.page += 1;
        }
        Ok(())
    }
}

fn check(history: &History, page: u64) -> Result<(), StorageError> {
    let first = page * PAGE_RECORDS + 1;
    let read = history.scan(first..=page * PAGE_RECORDS + PAGE_RECORDS)?;
    let (mark, next) = (history.mark(page)?, history.mark(page + 1)?);
    let mut chain = RecordChain::before_page(page, mark.record_digest);
    let (mut entries, mut keyed) = (mark.entries, mark.keyed);
    for record in &read.records {
        chain.push(mark.ledger, record);
        entries += u64::from(record.movement().is_some());
        keyed += u64::from(record.idempotency_key.is_some());
    }
    if (chain.digest(), entries, keyed, mark.ledger) == (next.record_digest, next.entries, next.keyed, next.ledger) {
        return Ok(());
    }
    Err(StorageError::Damaged {
        place: format!("the page of the history that begins with record {first}"),
        reason: "its records do not lead to what the next page has before it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use ledger::{Event, PageMark, Record, RecordChain, SellerCreated, Time};
    use uuid::Uuid;

    use super::*;
    use crate::storage::Checkpoint;
    use crate::storage::disk::Disks;
    use crate::storage::model::ModelDisks;

    /// A history of so many records; with each the mark of its page, which `forge` may change.
    async fn history(records: u64, forge: impl Fn(&mut PageMark)) -> History {
        let disk = ModelDisks::default().open("history").unwrap();
        History::create(&*disk).await.unwrap();
        let history = History::open(disk).unwrap();
        let (ledger, mut chain) = (Uuid::from_u128(7), RecordChain::default());
        for number in 1..=records {
            let event = Event::SellerCreated(SellerCreated { name: ledger::Name::new("shop").unwrap() });
            let record = Record { number, time: Time(number), actor: 1, idempotency_key: None, origin: None, event };
            let record_digest = chain.digest();
            let mark = || {
                let mut mark =
                    PageMark { ledger, first: number, time: Time(number), record_digest, ..PageMark::default() };
                forge(&mut mark);
                mark
            };
            chain.push(ledger, &record);
            history.push(record, mark);
        }
        history.write(Checkpoint { records, ..Checkpoint::default() }).await.unwrap();
        history
    }

    #[tokio::test]
    async fn every_page_is_read_again_and_again() {
        let history = history(6 * PAGE_RECORDS, |_| ()).await;
        let mut patrol = Patrol::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            patrol.round(&history, 6 * PAGE_RECORDS).unwrap();
            seen.push(patrol.page);
        }
        assert_eq!(seen, [4, 0, 4, 0], "nothing follows the sixth page");
    }

    #[tokio::test]
    async fn a_page_that_does_not_lead_to_the_next_one_is_found() {
        for forge in [|mark: &mut PageMark| mark.keyed += 1, |mark: &mut PageMark| mark.record_digest.0[0] ^= 1] {
            let forged = history(6 * PAGE_RECORDS, |mark| {
                if mark.first == 2 * PAGE_RECORDS + 1 {
                    forge(mark);
                }
            });
            let found = Patrol::default().round(&forged.await, 6 * PAGE_RECORDS).unwrap_err().to_string();
            assert!(found.contains("begins with record 65"), "{found}");
        }
    }
}
