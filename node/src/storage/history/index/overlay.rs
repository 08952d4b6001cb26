//! What the records since the last checkpoint add to the lists: in memory, since it is not on the disk yet.
//!
//! Bounded as those records are (a checkpoint waits for 32 MiB of them, 240,000 charges), at 16 bytes each, and thrown away
//! with each checkpoint. A number is appended and nothing else, since it happens while a record is applied; a reader looks
//! through all of them, with no lock held but for the newest.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ledger::{Conclusion, Record, RecordNumber};

use super::list::{List, lists_of};

/// Numbers in a piece: as many as are looked through while the overlay is locked.
const PIECE: usize = 4_096;

/// Some numbers, in order, each with its list.
#[derive(Debug)]
struct OverlayPiece {
    lists: Vec<List>,
    numbers: Vec<RecordNumber>,
}

impl OverlayPiece {
    fn new() -> Self {
        Self { lists: Vec::with_capacity(PIECE), numbers: Vec::with_capacity(PIECE) }
    }

    /// Adds the numbers of `list` that are not below `from` to `found`, as long as that has fewer than `most`.
    fn find(&self, list: List, from: RecordNumber, most: usize, found: &mut Vec<RecordNumber>) {
        for (at, _) in self.lists.iter().enumerate().filter(|(_, of)| **of == list) {
            if found.len() >= most {
                return;
            }
            found.extend(self.numbers.get(at).filter(|number| **number >= from));
        }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// What these records added is on the disk.
    written: RecordNumber,
    full: VecDeque<Arc<OverlayPiece>>,
    newest: OverlayPiece,
    /// What records beyond `written` concluded.
    conclusions: HashMap<RecordNumber, Conclusion>,
}

impl Overlay {
    /// Nothing is new after `written` records.
    pub(crate) fn after(written: RecordNumber) -> Self {
        Self { written, full: VecDeque::new(), newest: OverlayPiece::new(), conclusions: HashMap::new() }
    }

    /// Adds what the next record adds.
    ///
    /// # Panics
    /// Where it concludes what one of the other new records has concluded: continuing would corrupt the books.
    pub(crate) fn push(&mut self, record: &Record) {
        lists_of(record, |list| {
            self.newest.lists.push(list);
            self.newest.numbers.push(record.number);
        });
        if let Some((subject, conclusion)) = record.concludes() {
            let before = self.conclusions.insert(subject, conclusion);
            assert!(before.is_none(), "a charge is reversed once, and a credit request has one verdict");
        }
        // One record is in two lists at most, so this stays within what was reserved.
        if self.newest.numbers.len() + 2 > PIECE {
            self.full.push_back(Arc::new(std::mem::replace(&mut self.newest, OverlayPiece::new())));
        }
    }

    /// What the records up to `written` added is on the disk.
    pub(crate) fn trim(&mut self, written: RecordNumber) {
        self.written = written;
        while self.full.pop_front_if(|piece| piece.numbers.last().is_none_or(|last| *last <= written)).is_some() {}
        self.conclusions.retain(|_, conclusion| conclusion.record > written);
    }

    /// What is new of `list`, from the record `from` on, to be read once the lock is let go of.
    pub(crate) fn view(&self, list: List, from: RecordNumber, most: usize) -> ListView {
        let from = from.max(self.written + 1);
        let mut newest = Vec::new();
        self.newest.find(list, from, most, &mut newest);
        ListView { list, from, written: self.written, full: self.full.iter().cloned().collect(), newest }
    }

    /// What concluded `subject`, where that is new, and up to which record the disk has what is older.
    pub(crate) fn conclusion(&self, subject: RecordNumber) -> (Option<Conclusion>, RecordNumber) {
        (self.conclusions.get(&subject).copied(), self.written)
    }
}

/// What an overlay had of one list at an instant.
#[derive(Debug)]
pub(crate) struct ListView {
    list: List,
    from: RecordNumber,
    /// The disk has what records up to this one added, and perhaps more, which does not count.
    pub(crate) written: RecordNumber,
    full: Vec<Arc<OverlayPiece>>,
    newest: Vec<RecordNumber>,
}

impl ListView {
    /// Adds what is new to `found`, as long as that has fewer than `most`.
    pub(crate) fn add_to(&self, found: &mut Vec<RecordNumber>, most: usize) {
        for piece in &self.full {
            piece.find(self.list, self.from, most, found);
        }
        found.extend(self.newest.iter().take(most.saturating_sub(found.len())));
    }
}
