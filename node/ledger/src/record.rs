//! What was decided: one record a decision, numbered without gaps, never changed.
//!
//! A record holds all that its answer needs, so that the answer can be given again byte for byte.
//! Variants are encoded by position (bincode): add at the end, never remove or reorder.

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Balance, Change};
use crate::command::{Action, Genesis, Grant, Incarnation, NodeNumber, SellerStatus, Verdict};
use crate::entry::{Account, Entry, EntryKind};
use crate::ids::{IdKind, IdSpace, KeyHash, KeyNumber, RecordNumber, Time};
use crate::phone::Phone;
use crate::text::{IdempotencyKey, Name, Note};

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the history, from 1.
    pub number: RecordNumber,
    /// When it was decided, in ledger time.
    pub time: Time,
    /// The API key that acted, or [`crate::SYSTEM_ACTOR`].
    pub actor: KeyNumber,
    /// The key under which it is found again.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What happened.
    pub event: Event,
}

/// What happened. `entry` is the number of the journal entry that it made, `balance` the seller's after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the action of the same name")]
pub enum Event {
    /// The ledger began; its record number is also the first admin key's.
    Genesis(Genesis),
    /// A seller was taken in; its record number is the seller's.
    SellerCreated { name: Name },
    /// A seller was suspended or let act again; with what its answer shows.
    SellerStatusSet { seller: RecordNumber, status: SellerStatus, name: Name, balance: Balance, created_at: Time },
    /// A key was made; its record number is the key's.
    KeyCreated { name: Name, grant: Grant, hash: KeyHash },
    /// A key was revoked.
    KeyRevoked { key: KeyNumber },
    /// A seller asked for credit; its record number is the request's.
    CreditRequested { seller: RecordNumber, amount: Amount, note: Note },
    /// A request was approved and the credit allocated.
    CreditApproved { request: RequestShown, reason: Note, entry: u64, balance: Balance },
    /// A request was rejected.
    CreditRejected { request: RequestShown, reason: Note },
    /// A seller's credit was corrected; its record number is the adjustment's.
    Adjusted { seller: RecordNumber, amount: Change, reason: Note, entry: u64, balance: Balance },
    /// Airtime was sold; its record number is the charge's.
    Charged { seller: RecordNumber, phone: Phone, amount: Amount, entry: u64, balance: Balance },
    /// A charge was undone.
    Reversed {
        charge: RecordNumber,
        seller: RecordNumber,
        phone: Phone,
        amount: Amount,
        reason: Note,
        entry: u64,
        balance: Balance,
    },
    /// The state forbade it, under an idempotency key: that answer stays.
    Refused { action: Action, refusal: Refusal },
    /// A node's number was bound to its data directory.
    NodeRegistered { node: NodeNumber, incarnation: Incarnation },
}

/// A credit request as the answer to its verdict shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestShown {
    /// The request's record number.
    pub number: RecordNumber,
    /// Whose it is.
    pub seller: RecordNumber,
    /// How much.
    pub amount: Amount,
    /// What the seller said of it.
    pub note: Note,
    /// When it was filed.
    pub created_at: Time,
}

/// Why the state forbids a command: what becomes a 409.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The seller's credit does not suffice.
    InsufficientCredit {
        /// The seller's credit then.
        balance: Balance,
    },
    /// The seller is suspended.
    SellerSuspended,
    /// The credit request has the opposite verdict.
    RequestDecided {
        /// Which one.
        verdict: Verdict,
    },
    /// The charge is reversed already.
    ChargeReversed,
    /// A balance would exceed [`crate::MAX_MINOR`].
    LimitExceeded,
    /// Another active key has the name.
    NameTaken,
    /// Without this key nobody could administer the ledger.
    LastAdminKey,
}

impl Record {
    /// Whether `action` is the one that this record decided, compared as parsed.
    pub fn has_content(&self, action: &Action) -> bool {
        match (&self.event, action) {
            (Event::Refused { action: first, .. }, _) => same_action(first, action),
            (Event::SellerCreated { name }, Action::CreateSeller { name: asked }) => name == asked,
            (Event::KeyCreated { name, grant, .. }, Action::CreateKey { name: asked, grant: wanted, .. }) => {
                name == asked && grant == wanted
            }
            (Event::CreditRequested { amount, note, .. }, Action::RequestCredit { amount: asked, note: said }) => {
                amount == asked && note == said
            }
            (
                Event::Adjusted { seller, amount, reason, .. },
                Action::Adjust { seller: of, amount: asked, reason: said },
            ) => seller == of && amount == asked && reason == said,
            (Event::Charged { phone, amount, .. }, Action::Charge { phone: to, amount: asked }) => {
                phone == to && amount == asked
            }
            (Event::Reversed { charge, reason, .. }, Action::Reverse { charge: asked, reason: said }) => {
                charge == asked && reason == said
            }
            (Event::SellerStatusSet { seller, status, .. }, Action::SetSellerStatus { seller: of, status: asked }) => {
                seller == of && status == asked
            }
            (Event::KeyRevoked { key }, Action::RevokeKey { key: asked }) => key == asked,
            (
                Event::Genesis(_)
                | Event::SellerCreated { .. }
                | Event::SellerStatusSet { .. }
                | Event::KeyCreated { .. }
                | Event::KeyRevoked { .. }
                | Event::CreditRequested { .. }
                | Event::CreditApproved { .. }
                | Event::CreditRejected { .. }
                | Event::Adjusted { .. }
                | Event::Charged { .. }
                | Event::Reversed { .. }
                | Event::NodeRegistered { .. },
                Action::Genesis(_)
                | Action::CreateSeller { .. }
                | Action::SetSellerStatus { .. }
                | Action::CreateKey { .. }
                | Action::RevokeKey { .. }
                | Action::RequestCredit { .. }
                | Action::DecideCredit { .. }
                | Action::Adjust { .. }
                | Action::Charge { .. }
                | Action::Reverse { .. }
                | Action::RegisterNode { .. },
            ) => false,
        }
    }

    /// The seller whose credit, request or status this record is about; `None` for one about none, or for a refusal.
    pub fn seller(&self) -> Option<RecordNumber> {
        match &self.event {
            Event::SellerCreated { .. } => Some(self.number),
            Event::SellerStatusSet { seller, .. }
            | Event::CreditRequested { seller, .. }
            | Event::Adjusted { seller, .. }
            | Event::Charged { seller, .. }
            | Event::Reversed { seller, .. } => Some(*seller),
            Event::CreditApproved { request, .. } | Event::CreditRejected { request, .. } => Some(request.seller),
            Event::Genesis(_)
            | Event::KeyCreated { .. }
            | Event::KeyRevoked { .. }
            | Event::Refused { .. }
            | Event::NodeRegistered { .. } => None,
        }
    }

    /// The journal entry that this record made; `None` where it moved no money. `actor` is the name of the key that acted.
    pub fn entry<'a>(&self, ids: &IdSpace, actor: &'a str) -> Option<Entry<'a>> {
        let (kind, seller, amount, number, balance, phone) = match &self.event {
            Event::CreditApproved { request, entry, balance, .. } => {
                (EntryKind::Credit, request.seller, request.amount.plus(), *entry, *balance, None)
            }
            Event::Adjusted { seller, amount, entry, balance, .. } => {
                (EntryKind::Adjustment, *seller, amount.minor(), *entry, *balance, None)
            }
            Event::Charged { seller, phone, amount, entry, balance } => {
                (EntryKind::Charge, *seller, amount.minus(), *entry, *balance, Some(*phone))
            }
            Event::Reversed { seller, phone, amount, entry, balance, .. } => {
                (EntryKind::Reversal, *seller, amount.plus(), *entry, *balance, Some(*phone))
            }
            Event::Genesis(_)
            | Event::SellerCreated { .. }
            | Event::SellerStatusSet { .. }
            | Event::KeyCreated { .. }
            | Event::KeyRevoked { .. }
            | Event::CreditRequested { .. }
            | Event::CreditRejected { .. }
            | Event::Refused { .. }
            | Event::NodeRegistered { .. } => return None,
        };
        let seller = ids.uuid(IdKind::Seller, seller);
        let own = Account::Seller(seller);
        let other = phone.map_or(Account::Treasury, Account::Phone);
        let (debit, credit) = if amount < 0 { (own, other) } else { (other, own) };
        Some(Entry {
            number,
            time: self.time,
            kind,
            seller,
            amount,
            balance: balance.signed(),
            debit,
            credit,
            reference: self.reference(ids),
            phone,
            actor,
        })
    }

    /// The id of what moved the money.
    fn reference(&self, ids: &IdSpace) -> uuid::Uuid {
        let (kind, number) = match &self.event {
            Event::CreditApproved { request, .. } => (IdKind::CreditRequest, request.number),
            Event::Reversed { charge, .. } => (IdKind::Charge, *charge),
            Event::Charged { .. } => (IdKind::Charge, self.number),
            Event::Genesis(_)
            | Event::SellerCreated { .. }
            | Event::SellerStatusSet { .. }
            | Event::KeyCreated { .. }
            | Event::KeyRevoked { .. }
            | Event::CreditRequested { .. }
            | Event::CreditRejected { .. }
            | Event::Adjusted { .. }
            | Event::Refused { .. }
            | Event::NodeRegistered { .. } => (IdKind::Adjustment, self.number),
        };
        ids.uuid(kind, number)
    }
}

/// Equal but for the secret's hash, which is drawn anew at each attempt.
fn same_action(first: &Action, again: &Action) -> bool {
    match (first, again) {
        (Action::CreateKey { name, grant, .. }, Action::CreateKey { name: asked, grant: wanted, .. }) => {
            name == asked && grant == wanted
        }
        _ => first == again,
    }
}
