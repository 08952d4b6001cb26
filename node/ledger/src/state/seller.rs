//! Sellers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::ItemBytes;
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How many journal entries moved its credit.
    pub entries: u64,
}
