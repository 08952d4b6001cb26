//! API keys, without their secrets.

use serde::{Deserialize, Serialize};

use crate::digest::ItemBytes;
use crate::values::amount::Amount;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{ApiKeyHash, ApiKeyNumber, RecordNumber, Time};
use crate::values::rules::RULES_ROLES;
use crate::values::text::Name;

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    /// Everything that is not a seller's own doing.
    Admin,
    /// Read all, write nothing.
    Auditor,
    /// One seller's own data and nothing else.
    Seller(RecordNumber),
    /// Read all, and decide credit requests.
    Approver {
        /// The most that one approval allocates; `None` for any amount.
        limit: Option<Amount>,
    },
    /// Members, leadership and backups, and no money.
    Operator,
}

impl Grant {
    /// The first version of the rules that has it.
    pub(crate) fn since(self) -> u32 {
        match self {
            Self::Admin | Self::Auditor | Self::Seller(_) => 1,
            Self::Approver { .. } | Self::Operator => RULES_ROLES,
        }
    }

    /// What a record's digest covers of it.
    pub(crate) fn write(self, bytes: &mut ItemBytes<'_>) {
        match self {
            Self::Admin => bytes.u8(1),
            Self::Auditor => bytes.u8(2),
            Self::Seller(seller) => {
                bytes.u8(3);
                bytes.u64(seller);
            }
            Self::Approver { limit } => {
                bytes.u8(4);
                bytes.u64(limit.map_or(0, Amount::minor));
            }
            Self::Operator => bytes.u8(5),
        }
    }
}

/// Whose an idempotency key is: two keys of one scope that are spelled alike are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdempotencyScope<'a> {
    /// A seller, whichever of its API keys is used.
    Seller(RecordNumber),
    /// All others, by name as people see it, so that a key that is made again under the name of a revoked one keeps its scope,
    /// whatever the rules were when either was made.
    Admin(&'a FoldedName),
}

/// A key of the API. Revoked ones stay, for their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its record number.
    pub number: ApiKeyNumber,
    /// Its name.
    pub name: Name,
    /// Its name as people see it: the scope of an admin's idempotency keys.
    pub folded: FoldedName,
    /// What it may do.
    pub grant: Grant,
    /// The hash of its secret.
    pub hash: ApiKeyHash,
    /// When it was made.
    pub created_at: Time,
    /// The record that revoked it.
    pub revoked_by: Option<RecordNumber>,
    /// The first instant at which it is refused; `None` for none. An image has it in a part of its own.
    #[serde(skip)]
    pub expires_at: Option<Time>,
}

impl ApiKey {
    /// The scope of its idempotency keys.
    pub(crate) fn scope(&self) -> IdempotencyScope<'_> {
        match self.grant {
            Grant::Seller(seller) => IdempotencyScope::Seller(seller),
            Grant::Admin | Grant::Auditor | Grant::Approver { .. } | Grant::Operator => {
                IdempotencyScope::Admin(&self.folded)
            }
        }
    }

    /// Whether it is taken at this instant of ledger time: neither revoked nor expired.
    pub fn is_valid_at(&self, now: Time) -> bool {
        self.revoked_by.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it lets the ledger be administered without an end.
    pub(super) fn is_lasting_admin(&self) -> bool {
        self.grant == Grant::Admin && self.expires_at.is_none() && self.revoked_by.is_none()
    }
}
