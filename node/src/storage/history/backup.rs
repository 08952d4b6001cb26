//! A backup of the durable history, up to its end or to an earlier record: its head, and its pages as a stream.
//!
//! Pages only grow, so what a head names stays valid while records are added.

use std::io::Write;

use ::pages::backup::{BackupError, Continues, Head, Position, Writer};
use ledger::{
    Digest, EntryChain, EpochBegun, Event, IdSpace, PAGE_RECORDS, RecordNumber, SYSTEM_ACTOR, Totals, page_of,
};
use uuid::Uuid;

use super::History;
use crate::storage::error::StorageError;
use crate::storage::types::LogId;
use crate::storage::types::plain::PlainLogId;

/// Why a backup was not written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryBackupError {
    /// A page is damaged, or there is no such record.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It could not be written.
    #[error("the backup was not written: {0}")]
    Backup(#[from] BackupError),
}

/// What a head says that the records do not.
#[derive(Debug, Clone)]
pub struct BackupOrigin {
    /// See [`Head::ledger`].
    pub ledger: Uuid,
    /// See [`Head::cluster`].
    pub cluster: Uuid,
    /// See [`Head::epoch`].
    pub epoch: u32,
    /// The ids of the ledger, in all of its epochs.
    pub ids: IdSpace,
    /// See [`Head::rules`].
    pub rules: u32,
    /// See [`Head::position`].
    pub position: Option<LogId>,
    /// See [`Head::totals`].
    pub totals: Option<Totals>,
    /// See [`Head::made_ms`].
    pub made_ms: u64,
}

impl History {
    /// The head of a backup of the first `records` records, for whoever has the first `after` of them (0 for none). Blocks.
    ///
    /// # Errors
    /// Where there are fewer records, or what is read is damaged.
    pub fn backup_head(&self, origin: &BackupOrigin, records: u64, after: u64) -> Result<Head, StorageError> {
        if after > records {
            return Err(StorageError::NoRecord { number: after, last: records });
        }
        let continues =
            if after == 0 { None } else { Some(Continues { records: after, digest: self.digest_at(after)? }) };
        let (entries, entry_digest) = self.entries_at(records, &origin.ids)?;
        Ok(Head {
            ledger: origin.ledger,
            cluster: origin.cluster,
            epoch: origin.epoch,
            rules: origin.rules,
            position: origin.position.map(|id| {
                let PlainLogId { term, leader, index } = id.into();
                Position { term, leader, index }
            }),
            first_page: Head::page_after(after),
            records,
            entries,
            record_digest: self.digest_at(records)?,
            entry_digest,
            totals: origin.totals,
            continues,
            made_ms: origin.made_ms,
        })
    }

    /// The record that made a journal entry. Blocks.
    ///
    /// # Errors
    /// Where there is no such entry, or what is read is damaged.
    pub fn record_of_entry(&self, entry: u64) -> Result<RecordNumber, StorageError> {
        let page = self.page_of_entry(entry)?;
        let (first, last) = (self.mark(page)?.first, self.records());
        for number in first..=last.min(first + PAGE_RECORDS - 1) {
            if self.record(number)?.movement().is_some_and(|movement| movement.entry_number == entry) {
                return Ok(number);
            }
        }
        Err(StorageError::damaged(format!("page {page} of the history"), format!("it has no entry {entry}")))
    }

    /// Writes the backup that `head` describes, all of whose records have to be durable, a page at a time. Blocks.
    ///
    /// # Errors
    /// Where a page is damaged, or `out` fails. What was written until then is known as cut.
    pub fn write_backup<W: Write>(&self, head: &Head, out: W) -> Result<(), HistoryBackupError> {
        let mut writer = Writer::begin(out, head.clone())?;
        for page in head.pages() {
            writer.page(page, &self.page(page, head.records)?)?;
        }
        writer.finish()?;
        Ok(())
    }

    /// How many entries the first `records` records made, and the published chain over them. Blocks.
    fn entries_at(&self, records: u64, ids: &IdSpace) -> Result<(u64, Digest), StorageError> {
        if records == 0 {
            return Ok((0, Digest::ZERO));
        }
        let page = page_of(records);
        let mark = self.mark(page)?;
        let mut entries = mark.entries;
        let mut chain = EntryChain::before_page(page, mark.entry_digest);
        for number in mark.first..=records {
            let record = self.record(number)?;
            if record.movement().is_none() {
                continue;
            }
            let actor = self.actor_name(record.actor)?;
            if let Some(entry) = record.entry(ids, &actor) {
                chain.push(mark.ledger, &entry);
                entries += 1;
            }
        }
        Ok((entries, chain.digest()))
    }

    /// The name under which an actor stands in the journal.
    fn actor_name(&self, actor: RecordNumber) -> Result<String, StorageError> {
        if actor == SYSTEM_ACTOR {
            return Ok("etebar".to_owned());
        }
        let record = self.record(actor)?;
        if let Event::KeyCreated(made) = &record.event {
            return Ok(made.name.as_str().to_owned());
        }
        if let Event::Genesis(_) = &record.event {
            return Ok("admin".to_owned());
        }
        if let Event::EpochBegun(EpochBegun { admin_key: Some(key), .. }) = &record.event {
            return Ok(key.name.as_str().to_owned());
        }
        Err(StorageError::damaged(format!("record {actor}"), "it is an actor, and made no API key"))
    }
}
