//! Sellers, and the records of a seller's journal entries in 8 bytes each.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::ItemBytes;
use crate::entry::EntryKind;
use crate::values::amount::Balance;
use crate::values::ids::{RecordNumber, Time};
use crate::values::text::Name;

/// Whether a seller may charge and ask for credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SellerStatus {
    /// It may.
    Active,
    /// It may not.
    Suspended,
}

impl SellerStatus {
    /// What a record's digest covers of it.
    pub(crate) fn write(self, bytes: &mut ItemBytes<'_>) {
        bytes.u8(match self {
            Self::Active => 1,
            Self::Suspended => 2,
        });
    }
}

/// A business with prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// Its record number.
    pub number: RecordNumber,
    /// Its id outside.
    pub id: Uuid,
    /// Its name.
    pub name: Name,
    /// Whether it may charge.
    pub status: SellerStatus,
    /// What is left of its credit.
    pub balance: Balance,
    /// When it was created.
    pub created_at: Time,
    /// Its entries' records, oldest first.
    pub entries: Vec<EntryRef>,
    /// Its credit requests' records, oldest first.
    pub requests: Vec<RecordNumber>,
}

/// A record that made an entry, and of which kind, in 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef(u64);

impl EntryRef {
    pub(crate) fn new(record: RecordNumber, kind: EntryKind) -> Self {
        Self((record << 2) | ((kind as u64) & 0b11))
    }

    /// The record's number.
    pub fn record(self) -> RecordNumber {
        self.0 >> 2
    }

    /// Whether the entry is a charge.
    pub fn is_charge(self) -> bool {
        self.0 & 0b11 == EntryKind::Charge as u64
    }
}
