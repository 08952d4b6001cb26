//! The head of a backup: of which ledger it is, and how far it goes.

use ledger::{Digest, RecordNumber, Totals, page_of};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::backup_page::BackupPage;
use super::error::BackupError;
use crate::page::{self, Page};

/// How the head is called in messages.
pub(super) const HEAD_PLACE: &str = "the head";

/// More records than any ledger has. Source: an id keeps 48 bits for the number of a record.
const RECORDS_MAX: u64 = 1 << 48;

/// A place in the Raft log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The term of the leader that proposed the entry.
    pub term: u64,
    /// That leader's number.
    pub leader: u64,
    /// The entry's index.
    pub index: u64,
}

/// Where an increment goes on: what the backup before it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continues {
    /// How many records.
    pub records: u64,
    /// The chain over them.
    pub digest: Digest,
}

/// What a backup says of itself before its pages. Encoded by position: a change is one of the file's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The ledger's id.
    pub ledger: Uuid,
    /// The cluster that it was taken from; a restore makes a new one.
    pub cluster: Uuid,
    /// The ledger's epoch there: 1, and one more for each restore.
    pub epoch: u32,
    /// The version of the rules when the file was made; a build that does not know it cannot read every record.
    pub rules: u32,
    /// The position that the records reflect; absent where they end before the newest one.
    pub position: Option<Position>,
    /// The first page of the file: that of the first record that it adds.
    pub first_page: u64,
    /// How many records the ledger has there: the number of the last one.
    pub records: u64,
    /// How many entries these made.
    pub entries: u64,
    /// The chain over all records.
    pub record_digest: Digest,
    /// The published chain over all entries.
    pub entry_digest: Digest,
    /// What all accounts hold, as the state had it; absent where the file ends before the newest record, or was made without a
    /// state.
    pub totals: Option<Totals>,
    /// Of an increment: what the backup before it has.
    pub continues: Option<Continues>,
    /// When it was made, by the machine's clock, in ms since the Unix epoch.
    pub made_ms: u64,
}

impl Head {
    /// The pages of the file; none where it adds no record to the one before.
    pub fn pages(&self) -> std::ops::Range<u64> {
        if self.records == 0 { 0..0 } else { self.first_page..(page_of(self.records) + 1).max(self.first_page) }
    }

    /// The number of the last record of `page`, in this backup.
    pub fn last_of(&self, page: u64) -> RecordNumber {
        page::last_of(page).min(self.records)
    }

    /// The first page of what goes on after so many records.
    pub fn page_after(records: u64) -> u64 {
        page_of(records.saturating_add(1))
    }

    /// Decodes a page of this backup.
    ///
    /// # Errors
    /// Where its bytes are not those records, or it is of another ledger.
    pub fn decode(&self, page: &BackupPage) -> Result<Page, BackupError> {
        let decoded = page::decode(page.number, &page.bytes, self.last_of(page.number))?;
        let altered = |reason: String| BackupError::altered(page::place(page.number), reason);
        if decoded.length != page.bytes.len() {
            let surplus = page.bytes.len() - decoded.length;
            return Err(altered(format!("{surplus} bytes are left over after its last record")));
        }
        if decoded.mark.ledger != self.ledger {
            return Err(altered(format!("it is of ledger {}", decoded.mark.ledger)));
        }
        Ok(decoded)
    }

    /// That it can be a head at all, so that nothing that follows from it overflows.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        let altered = |reason: String| Err(BackupError::altered(HEAD_PLACE, reason));
        let from = self.continues.map_or(0, |continues| continues.records);
        if self.records > RECORDS_MAX {
            return altered(format!("{} records are more than there can be", self.records));
        }
        if self.entries > self.records || from > self.records {
            return altered(format!("{} entries after {from} of {} records", self.entries, self.records));
        }
        if self.first_page != Self::page_after(from) {
            return altered(format!("it begins with page {} after {from} records", self.first_page));
        }
        Ok(())
    }
}
