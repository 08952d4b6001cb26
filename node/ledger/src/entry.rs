//! Entries: the lines of the journal. Each moves one amount from one account to another, and never changes.

use core::fmt;

use uuid::Uuid;

use crate::digest::{EntryChain, ItemBytes};
use crate::page::page_of;
use crate::values::amount::Balance;
use crate::values::ids::{At, IdKind, IdSpace, RecordNumber, Time};
use crate::values::phone::Phone;
use crate::values::text::Reference;

/// Holds one balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The issuer; negative by construction.
    Treasury,
    /// A seller's prepaid credit.
    Seller(Uuid),
    /// Airtime sold to a phone.
    Phone(Phone),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Treasury => f.write_str("treasury"),
            Self::Seller(id) => write!(f, "seller:{id}"),
            Self::Phone(phone) => write!(f, "phone:{phone}"),
        }
    }
}

/// Why an entry moved money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// An approved credit request.
    Credit = 1,
    /// An admin's correction.
    Adjustment = 2,
    /// A sale of airtime.
    Charge = 3,
    /// A sale undone.
    Reversal = 4,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// The number of the decision that made it: so its block of the chain is known without the records between entries.
    pub record: RecordNumber,
    /// When it was decided.
    pub time: Time,
    /// Why it moved money.
    pub kind: EntryKind,
    /// The seller whose credit moved.
    pub seller: Uuid,
    /// Minor units, signed from the seller's side.
    pub amount: i64,
    /// Minor units of the seller's credit after it.
    pub balance: i64,
    /// The account that gave.
    pub debit: Account,
    /// The account that received.
    pub credit: Account,
    /// The id of the credit request, the adjustment, the charge, or the charge reversed.
    pub reference: Uuid,
    /// The phone of a charge or a reversal.
    pub phone: Option<Phone>,
    /// The name of the key that acted.
    pub actor: &'a str,
    /// The caller's own text of the charge or the credit request.
    pub caller_reference: Option<&'a str>,
}

/// What a record moved, by the numbers of the ledger: an [`Entry`] without what is derived from other records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement<'a> {
    /// Why.
    pub kind: EntryKind,
    /// The seller whose credit moved.
    pub seller: RecordNumber,
    /// Minor units, signed from the seller's side.
    pub amount: i64,
    /// The number of the entry.
    pub entry_number: u64,
    /// The seller's credit after it.
    pub balance: Balance,
    /// The phone of a charge or a reversal; otherwise the treasury is the other account.
    pub phone: Option<Phone>,
    /// What moved the money: the kind of thing, and its record.
    pub reference: (IdKind, RecordNumber),
    /// The caller's own text of the charge or the credit request.
    pub caller_reference: Option<&'a Reference>,
}

impl<'a> Movement<'a> {
    /// The line of the journal, made by this record under the key of this name.
    pub fn entry(&self, ids: &IdSpace, at: At, actor: &'a str) -> Entry<'a> {
        let seller = ids.uuid(IdKind::Seller, self.seller);
        let own = Account::Seller(seller);
        let other = self.phone.map_or(Account::Treasury, Account::Phone);
        let (debit, credit) = if self.amount < 0 { (own, other) } else { (other, own) };
        let (kind, number) = self.reference;
        Entry {
            number: self.entry_number,
            record: at.number,
            time: at.time,
            kind: self.kind,
            seller,
            amount: self.amount,
            balance: self.balance.signed(),
            debit,
            credit,
            reference: ids.uuid(kind, number),
            phone: self.phone,
            actor,
            caller_reference: self.caller_reference.map(Reference::as_str),
        }
    }
}

impl Account {
    /// What a digest covers of it.
    fn write(self, bytes: &mut ItemBytes<'_>) {
        match self {
            Self::Treasury => bytes.u8(0),
            Self::Seller(id) => {
                bytes.u8(1);
                bytes.uuid(id);
            }
            Self::Phone(phone) => {
                bytes.u8(2);
                bytes.u64(phone.digits());
            }
        }
    }
}

impl Entry<'_> {
    /// What a digest covers of it.
    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.number);
        bytes.u64(self.record);
        bytes.u64(self.time.0);
        bytes.u8(self.kind as u8);
        bytes.uuid(self.seller);
        bytes.i64(self.amount);
        bytes.i64(self.balance);
        self.debit.write(bytes);
        self.credit.write(bytes);
        bytes.uuid(self.reference);
        bytes.u64(self.phone.map_or(0, Phone::digits));
        bytes.text(self.actor);
        bytes.text(self.caller_reference.unwrap_or(""));
    }
}

impl EntryChain {
    /// One entry further, in the ledger of this id.
    pub fn push(&mut self, ledger: Uuid, entry: &Entry<'_>) {
        self.push_item(ledger, page_of(entry.record), |bytes| entry.write(bytes));
    }
}
