//! Sums of entries by kind: of a whole ledger, or of one seller.
//!
//! Unit: minor units, signed from the sellers' side.

use serde::{Deserialize, Serialize};

use crate::entry::EntryKind;
use crate::record::Record;

/// Sums of entries by kind. `credits + adjustments + charges + reversals` is what sellers hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Approved credit requests; not negative.
    pub credits: i128,
    /// Corrections, either way.
    pub adjustments: i128,
    /// Sales; not positive.
    pub charges: i128,
    /// Sales undone; not negative.
    pub reversals: i128,
    /// How many entries.
    pub entries: u64,
}

impl Sums {
    /// All four together.
    pub fn total(&self) -> i128 {
        self.credits.saturating_add(self.adjustments).saturating_add(self.charges).saturating_add(self.reversals)
    }

    /// Adds what one record moved; `true` where it moved money.
    pub fn add(&mut self, record: &Record) -> bool {
        let Some(movement) = record.movement() else { return false };
        let sum = match movement.kind {
            EntryKind::Credit => &mut self.credits,
            EntryKind::Adjustment => &mut self.adjustments,
            EntryKind::Charge => &mut self.charges,
            EntryKind::Reversal => &mut self.reversals,
        };
        *sum = sum.saturating_add(i128::from(movement.amount));
        self.entries = self.entries.saturating_add(1);
        true
    }
}
