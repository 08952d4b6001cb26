//! The subjects that a later record may refer to: charges to be reversed and credit requests to be decided, in 8 bytes
//! a record.
//!
//! A slot holds a fingerprint of a subject, or how it ended. Two things have the same fingerprint with a
//! probability of 2^-62, and then one of another amount is accepted as it; all sums are checked besides.

use alloc::vec::Vec;

use crate::commands::Event;
use crate::record::Record;
use crate::values::amount::Amount;
use crate::values::ids::{RecordNumber, Time, mix};
use crate::values::phone::Phone;

/// Longest gap in the numbers over which slots are kept; beyond it the history is damaged.
const GAP_RECORDS: usize = 1_000_000;

const NOTHING: u64 = 0;
const REVERSED: u64 = 1;
const APPROVED: u64 = 4;
const REJECTED: u64 = 5;
/// The low bits of a slot without a fingerprint have no such bit.
const IS_THING: u64 = 0b10;
/// Whether it is a credit request.
const IS_REQUEST: u64 = 0b01;

/// A charge or a credit request, as a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thing(u64);

impl Thing {
    pub(super) fn charge(seller: RecordNumber, phone: Phone, amount: Amount) -> Self {
        Self(fingerprint([seller, phone.digits(), amount.minor()]) & !IS_REQUEST)
    }

    pub(super) fn request(seller: RecordNumber, amount: Amount, created_at: Time) -> Self {
        Self(fingerprint([seller, amount.minor(), created_at.0]) | IS_REQUEST)
    }
}

fn fingerprint(parts: [u64; 3]) -> u64 {
    parts.into_iter().fold(0_u64, |hash, part| mix(hash.rotate_left(1) ^ part)) | IS_THING
}

/// How a subject ends, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Reversed,
    Approved,
    Rejected,
}

/// What was found where a record refers to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkOutcome {
    /// It is there, as it was, and had not ended.
    Fits,
    /// It had ended so.
    Again(End),
    /// It is there, and was another one.
    Different,
    /// No record of this kind has that number.
    Absent,
}

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub(super) struct Subjects {
    slots: Vec<u64>,
}

impl Subjects {
    /// Keeps the subject that a record makes.
    pub(super) fn keep(&mut self, record: &Record) {
        let slot = if let Event::Charged(sold) = &record.event {
            Thing::charge(sold.seller, sold.phone, sold.amount).0
        } else if let Event::CreditRequested(filed) = &record.event {
            Thing::request(filed.seller, filed.amount, record.time).0
        } else {
            NOTHING
        };
        let Some(at) = place(record.number) else { return };
        match at.checked_sub(self.slots.len()) {
            Some(gap) if gap <= GAP_RECORDS => {
                self.slots.resize(at, NOTHING);
                self.slots.push(slot);
            }
            // A number that was there before, or far off: reported as broken elsewhere.
            Some(_) | None => {}
        }
    }

    /// Ends `thing`, which a later record refers to by `number`.
    pub(super) fn take(&mut self, number: RecordNumber, thing: Thing, end: End) -> MarkOutcome {
        let Some(slot) = place(number).and_then(|at| self.slots.get_mut(at)) else { return MarkOutcome::Absent };
        let before = *slot;
        let is_kind = |slot: u64| slot & IS_THING != 0 && slot & IS_REQUEST == thing.0 & IS_REQUEST;
        let taken = match before {
            REVERSED if end == End::Reversed => return MarkOutcome::Again(End::Reversed),
            APPROVED if end != End::Reversed => return MarkOutcome::Again(End::Approved),
            REJECTED if end != End::Reversed => return MarkOutcome::Again(End::Rejected),
            slot if slot == thing.0 => MarkOutcome::Fits,
            slot if is_kind(slot) => MarkOutcome::Different,
            _ => return MarkOutcome::Absent,
        };
        *slot = match end {
            End::Reversed => REVERSED,
            End::Approved => APPROVED,
            End::Rejected => REJECTED,
        };
        taken
    }
}

fn place(number: RecordNumber) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}
