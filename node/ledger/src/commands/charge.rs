//! A charge: airtime sold to a phone. The seller's credit falls by what the phone receives.

use serde::{Deserialize, Serialize};

use super::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::entry::{EntryKind, Movement};
use crate::refusal::Refusal;
use crate::state::State;
use crate::values::amount::{Amount, Balance};
use crate::values::ids::{At, IdKind, RecordNumber};
use crate::values::phone::Phone;
use crate::values::text::{Reference, reference_text};

/// Sells airtime, for the seller whose key acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// To which phone.
    pub phone: Phone,
    /// How much.
    pub amount: Amount,
    /// The seller's own text, such as its order number.
    pub reference: Option<Reference>,
}

/// Airtime was sold; its record number is the charge's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// Whose credit paid.
    pub seller: RecordNumber,
    /// To which phone.
    pub phone: Phone,
    /// How much.
    pub amount: Amount,
    /// The journal entry.
    pub entry: u64,
    /// The seller's credit after it.
    pub balance: Balance,
    /// The seller's own text, such as its order number.
    pub reference: Option<Reference>,
    /// Which charge of the phone it is, from 1.
    pub phone_charge: u64,
    /// The record of the phone's charge before it; 0 for its first.
    pub previous: RecordNumber,
}

impl CommandKind for Charge {
    fn role(&self) -> RequiredRole {
        RequiredRole::Seller
    }

    fn phone(&self) -> Option<Phone> {
        Some(self.phone)
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        reference_text(self.reference.as_ref()).len()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.phone.digits());
        bytes.u64(self.amount.minor());
        bytes.text(reference_text(self.reference.as_ref()));
    }
}

impl Charge {
    /// Credit must suffice, and the phone's balance must stay within the limit.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<Charged, Denial> {
        let &Self { phone, amount, ref reference } = self;
        let seller = context.acting_seller()?;
        let account = context.state.phone(phone).copied().unwrap_or_default();
        account.balance.credited(amount).ok_or(Refusal::LimitExceeded)?;
        let balance = seller.balance.charged(amount).ok_or(Refusal::InsufficientCredit { balance: seller.balance })?;
        Ok(Charged {
            seller: seller.number,
            phone,
            amount,
            entry: context.next_entry(),
            balance,
            reference: reference.clone(),
            phone_charge: account.charges.saturating_add(1),
            previous: account.last_charge,
        })
    }
}

impl EventKind for Charged {
    fn role(&self) -> RequiredRole {
        RequiredRole::Seller
    }

    fn apply(&self, at: At, state: &mut State) {
        state.move_credit(self.seller, self.balance, |before| before.charged(self.amount));
        state.move_phone(self.phone, |account| {
            let (count, last) = (account.charges.saturating_add(1), account.last_charge);
            assert_eq!((self.phone_charge, self.previous), (count, last), "a charge follows the phone's last one");
            account.charges = count;
            account.last_charge = at.number;
            account.balance.credited(self.amount)
        });
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.seller);
        bytes.u64(self.phone.digits());
        bytes.u64(self.amount.minor());
        bytes.u64(self.entry);
        bytes.u64(self.balance.minor());
        bytes.text(reference_text(self.reference.as_ref()));
        bytes.u64(self.phone_charge);
        bytes.u64(self.previous);
    }

    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        Some(self.seller)
    }

    fn movement(&self, number: RecordNumber) -> Option<Movement<'_>> {
        Some(Movement {
            kind: EntryKind::Charge,
            seller: self.seller,
            amount: self.amount.minus(),
            entry_number: self.entry,
            balance: self.balance,
            phone: Some(self.phone),
            reference: (IdKind::Charge, number),
            caller_reference: self.reference.as_ref(),
        })
    }
}

impl Charged {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &Charge) -> bool {
        self.phone == asked.phone && self.amount == asked.amount && self.reference == asked.reference
    }
}
