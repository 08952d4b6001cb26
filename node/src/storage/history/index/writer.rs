//! Writes what records add to the lists, in pieces of bounded memory, before the checkpoint that covers them.
//!
//! Plain writes, as pages are: what lies beyond the checkpoint does not count, and comes again with the same bytes.

use ledger::{Concluded, Conclusion, Record, RecordNumber, Verdict};

use super::block;
use super::list::{List, lists_of};
use crate::storage::disk::Disk;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::{Kind, codec};

/// Numbers that wait in memory at most: 8 MiB of them. Each piece writes the last block of all lists that it touches.
const NUMBERS_MAX: usize = 512 * 1024;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    /// What records up to this one add is on the disk, or waits here.
    taken: RecordNumber,
    /// What records up to this one add is on the disk.
    written: RecordNumber,
    numbers: Vec<(List, RecordNumber)>,
    conclusions: Vec<(RecordNumber, Conclusion)>,
}

impl IndexWriter {
    /// Continues after `written` records.
    pub(crate) fn after(written: RecordNumber) -> Self {
        Self { taken: written, written, numbers: Vec::new(), conclusions: Vec::new() }
    }

    /// The last record that it has taken.
    pub(crate) fn taken(&self) -> RecordNumber {
        self.taken
    }

    /// Takes the next record, and writes where too much waits. One that it has taken already is passed over.
    pub(crate) fn take(&mut self, disk: &dyn Disk, record: &Record) -> Result<(), StorageError> {
        if record.number <= self.taken {
            return Ok(());
        }
        assert_eq!(record.number, self.taken + 1, "records are listed in order, without gaps");
        self.taken = record.number;
        lists_of(record, |list| self.numbers.push((list, record.number)));
        self.conclusions.extend(record.concludes());
        if self.numbers.len() >= NUMBERS_MAX { self.write(disk) } else { Ok(()) }
    }

    /// Writes all that waits.
    pub(crate) fn write(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.sort_unstable();
        for of_list in numbers.chunk_by(|(one, _), (other, _)| one == other) {
            append(disk, of_list, self.written)?;
        }
        for (subject, conclusion) in std::mem::take(&mut self.conclusions) {
            write_conclusion(disk, subject, conclusion, self.written)?;
        }
        self.written = self.taken;
        Ok(())
    }
}

/// Appends numbers of one list to its last block, of which what is beyond the record `known` does not count.
fn append(disk: &dyn Disk, numbers: &[(List, RecordNumber)], known: RecordNumber) -> Result<(), StorageError> {
    let Some((list, _)) = numbers.first() else { return Ok(()) };
    let mut open = block::open(disk, *list, known)?;
    for (_, number) in numbers {
        if open.len() == block::NUMBERS {
            open.clear();
        }
        open.push(*number);
        if open.len() == block::NUMBERS {
            block::write(disk, *list, &open)?;
        }
    }
    if open.len() < block::NUMBERS { block::write(disk, *list, &open) } else { Ok(()) }
}

/// The numbers of the ways to conclude, on the disk.
const APPROVED: u8 = 1;
const REJECTED: u8 = 2;
const REVERSED: u8 = 3;

/// Writes what concluded `subject`. Memory does not hold what older records concluded, so it is checked here that nothing did.
fn write_conclusion(
    disk: &dyn Disk,
    subject: RecordNumber,
    conclusion: Conclusion,
    known: RecordNumber,
) -> Result<(), StorageError> {
    if let Some(before) = read_conclusion(disk, subject, known)? {
        let reason = format!("record {} concluded {subject}, and so does {}", before.record, conclusion.record);
        return Err(StorageError::OutOfOrder { doing: "conclude a charge or a credit request again", reason });
    }
    let how = match conclusion.how {
        Concluded::Decided(Verdict::Approved) => APPROVED,
        Concluded::Decided(Verdict::Rejected) => REJECTED,
        Concluded::Reversed => REVERSED,
    };
    let key = keys::conclusion(subject);
    let sealed = codec::seal_value(Kind::Conclusion, &key, &(conclusion.record, how))?;
    disk.insert(&key, sealed)
}

/// What concluded `subject`, where that was a record up to `known`.
pub(crate) fn read_conclusion(
    disk: &dyn Disk,
    subject: RecordNumber,
    known: RecordNumber,
) -> Result<Option<Conclusion>, StorageError> {
    let key = keys::conclusion(subject);
    let Some(sealed) = disk.get(&key)? else { return Ok(None) };
    let (record, how): (RecordNumber, u8) = codec::unseal_value(Kind::Conclusion, &key, &sealed, PLACE)?;
    let how = match how {
        APPROVED => Concluded::Decided(Verdict::Approved),
        REJECTED => Concluded::Decided(Verdict::Rejected),
        REVERSED => Concluded::Reversed,
        _ => return Err(StorageError::damaged(PLACE, format!("it says that {subject} was concluded in way {how}"))),
    };
    Ok((record <= known).then_some(Conclusion { record, how }))
}

const PLACE: &str = "what concluded a charge or a credit request";
