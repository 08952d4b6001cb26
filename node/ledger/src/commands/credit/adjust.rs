//! An adjustment: an admin's signed correction of a seller's credit.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::entry::{EntryKind, Movement};
use crate::refusal::{Refusal, Rejection};
use crate::state::State;
use crate::values::amount::{Balance, Immovable, SignedAmount};
use crate::values::ids::{At, IdKind, RecordNumber};
use crate::values::text::Note;

/// Corrects a seller's credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjust {
    /// Which seller.
    pub seller: RecordNumber,
    /// By how much.
    pub amount: SignedAmount,
    /// Why.
    pub reason: Note,
}

/// A seller's credit was corrected; its record number is the adjustment's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjusted {
    /// Which seller.
    pub seller: RecordNumber,
    /// By how much.
    pub amount: SignedAmount,
    /// Why.
    pub reason: Note,
    /// The journal entry.
    pub entry: u64,
    /// The seller's credit after it.
    pub balance: Balance,
}

impl CommandKind for Adjust {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        self.reason.as_str().len()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.seller);
        bytes.i64(self.amount.minor());
        bytes.text(self.reason.as_str());
    }
}

impl Adjust {
    /// The seller must exist, and its credit must stay within 0 and the limit; under four eyes it must not grow.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<Adjusted, Denial> {
        let before = context.seller(self.seller)?.balance;
        if context.state.policy().four_eyes && self.amount.minor() > 0 {
            return Err(Rejection::FourEyes.into());
        }
        let balance = before.adjusted(self.amount).map_err(|immovable| match immovable {
            Immovable::BelowZero => Refusal::InsufficientCredit { balance: before },
            Immovable::OverLimit => Refusal::LimitExceeded,
        })?;
        let (seller, amount, reason) = (self.seller, self.amount, self.reason.clone());
        Ok(Adjusted { seller, amount, reason, entry: context.next_entry(), balance })
    }
}

impl EventKind for Adjusted {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, _at: At, state: &mut State) {
        let amount = self.amount;
        state.move_credit(self.seller, self.balance, |before| before.adjusted(amount).ok());
        state.move_treasury(amount.minor().saturating_neg());
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.seller);
        bytes.i64(self.amount.minor());
        bytes.text(self.reason.as_str());
        bytes.u64(self.entry);
        bytes.u64(self.balance.minor());
    }

    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        Some(self.seller)
    }

    fn movement(&self, number: RecordNumber) -> Option<Movement<'_>> {
        Some(Movement {
            kind: EntryKind::Adjustment,
            seller: self.seller,
            amount: self.amount.minor(),
            entry_number: self.entry,
            balance: self.balance,
            phone: None,
            reference: (IdKind::Adjustment, number),
            caller_reference: None,
        })
    }
}

impl Adjusted {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &Adjust) -> bool {
        self.seller == asked.seller && self.amount == asked.amount && self.reason == asked.reason
    }
}
