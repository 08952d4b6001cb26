//! A reversal: a charge undone, whole and once.

use serde::{Deserialize, Serialize};

use super::charge::Charged;
use super::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::entry::{EntryKind, Movement};
use crate::refusal::{Refusal, Rejection};
use crate::state::{Concluded, State};
use crate::values::amount::{Amount, Balance};
use crate::values::ids::{At, IdKind, RecordNumber};
use crate::values::phone::Phone;
use crate::values::text::Note;

/// Undoes a charge, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverse {
    /// Which charge.
    pub charge: RecordNumber,
    /// Why.
    pub reason: Note,
}

/// A charge was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversed {
    /// Which charge.
    pub charge: RecordNumber,
    /// Whose credit came back.
    pub seller: RecordNumber,
    /// From which phone.
    pub phone: Phone,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: Note,
    /// The journal entry.
    pub entry: u64,
    /// The seller's credit after it.
    pub balance: Balance,
}

impl CommandKind for Reverse {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn subject(&self, state: &State) -> Option<RecordNumber> {
        (1..=state.records()).contains(&self.charge).then_some(self.charge)
    }

    fn concludes(&self, state: &State) -> Option<RecordNumber> {
        self.subject(state)
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        self.reason.as_str().len()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.charge);
        bytes.text(self.reason.as_str());
    }
}

impl Reverse {
    /// The charge must exist and must not be reversed yet. `charged` is the event of its record.
    pub(crate) fn evaluate(&self, context: &Context<'_>, charged: Option<&Charged>) -> Result<Reversed, Denial> {
        let &Charged { seller, phone, amount, .. } = charged.ok_or(Rejection::UnknownCharge)?;
        if context.concluded.is_some() {
            return Err(Refusal::ChargeReversed.into());
        }
        // Charges that are not reversed add up to what the phone holds, so where it holds less this was no such charge.
        let sold = context.state.phone(phone).and_then(|account| account.balance.charged(amount));
        sold.ok_or(Rejection::Inconsistent)?;
        let balance = context.seller(seller)?.balance.credited(amount).ok_or(Refusal::LimitExceeded)?;
        let (charge, reason, entry) = (self.charge, self.reason.clone(), context.next_entry());
        Ok(Reversed { charge, seller, phone, amount, reason, entry, balance })
    }
}

impl EventKind for Reversed {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, _at: At, state: &mut State) {
        state.move_credit(self.seller, self.balance, |before| before.credited(self.amount));
        state.move_phone(self.phone, |account| account.balance.charged(self.amount));
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.charge);
        bytes.u64(self.seller);
        bytes.u64(self.phone.digits());
        bytes.u64(self.amount.minor());
        bytes.text(self.reason.as_str());
        bytes.u64(self.entry);
        bytes.u64(self.balance.minor());
    }

    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        Some(self.seller)
    }

    fn movement(&self, _number: RecordNumber) -> Option<Movement<'_>> {
        Some(Movement {
            kind: EntryKind::Reversal,
            seller: self.seller,
            amount: self.amount.plus(),
            entry_number: self.entry,
            balance: self.balance,
            phone: Some(self.phone),
            reference: (IdKind::Charge, self.charge),
            caller_reference: None,
        })
    }

    fn concludes(&self) -> Option<(RecordNumber, Concluded)> {
        Some((self.charge, Concluded::Reversed))
    }
}

impl Reversed {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &Reverse) -> bool {
        self.charge == asked.charge && self.reason == asked.reason
    }
}
