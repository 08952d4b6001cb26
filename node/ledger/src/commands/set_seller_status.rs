//! A seller's suspension, and its end.

use serde::{Deserialize, Serialize};

use super::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::state::State;
use crate::state::seller::SellerStatus;
use crate::values::amount::Balance;
use crate::values::ids::{At, RecordNumber, Time};
use crate::values::text::Name;

/// Suspends a seller or lets it act again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetSellerStatus {
    /// Which seller.
    pub seller: RecordNumber,
    /// The status from now on.
    pub status: SellerStatus,
}

/// A seller was suspended, or may act again; with what its answer shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerStatusSet {
    /// Which seller.
    pub seller: RecordNumber,
    /// The status from now on.
    pub status: SellerStatus,
    /// The seller's name.
    pub name: Name,
    /// The seller's credit.
    pub balance: Balance,
    /// When the seller was created.
    pub created_at: Time,
}

impl CommandKind for SetSellerStatus {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.seller);
        self.status.write(bytes);
    }
}

impl SetSellerStatus {
    /// The seller must exist.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<SellerStatusSet, Denial> {
        let found = context.seller(self.seller)?;
        Ok(SellerStatusSet {
            seller: self.seller,
            status: self.status,
            name: found.name.clone(),
            balance: found.balance,
            created_at: found.created_at,
        })
    }
}

impl EventKind for SellerStatusSet {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, _at: At, state: &mut State) {
        state.set_seller_status(self.seller, self.status);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.seller);
        self.status.write(bytes);
        bytes.text(self.name.as_str());
        bytes.u64(self.balance.minor());
        bytes.u64(self.created_at.0);
    }

    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        Some(self.seller)
    }
}

impl SellerStatusSet {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &SetSellerStatus) -> bool {
        self.seller == asked.seller && self.status == asked.status
    }
}
