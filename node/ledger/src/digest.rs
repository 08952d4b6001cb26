//! What makes two ledgers equal: a chain over records, which replicas compare, and a chain over entries, which is published.
//!
//! Each link is BLAKE3 of the previous digest (32 bytes; zeros before the first) and the item's bytes, written by hand
//! here and frozen per rules version. Integers are big-endian; a text is its length in bytes (4 bytes) and its UTF-8.
//!
//! The published bytes of an entry, in order: number (8), time in ms (8), kind (1: credit 1, adjustment 2, charge 3,
//! reversal 4), seller id (16), amount in minor units from the seller's side (8, two's complement), balance after (8),
//! debit account, credit account (each: 0 for the treasury; 1 and the seller id, 16; 2 and the phone's digits as an
//! integer, 8), reference id (16), phone digits or zero (8), actor (text).

use core::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::{Action, Grant, SellerStatus, Verdict};
use crate::entry::{Account, Entry};
use crate::phone::Phone;
use crate::record::{Event, Record, Refusal, RequestShown};

/// A link of a chain. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Before the first item.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest that is written as these 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The published chain, one entry further.
pub fn chain_entry(previous: &Digest, entry: &Entry<'_>) -> Digest {
    let mut link = Link::after(previous);
    link.u64(entry.number);
    link.u64(entry.time.0);
    link.u8(entry.kind as u8);
    link.uuid(entry.seller);
    link.i64(entry.amount);
    link.i64(entry.balance);
    link.account(entry.debit);
    link.account(entry.credit);
    link.uuid(entry.reference);
    link.u64(entry.phone.map_or(0, Phone::digits));
    link.text(entry.actor);
    link.digest()
}

/// The replicas' chain, one record further.
pub fn chain_record(previous: &Digest, record: &Record) -> Digest {
    let mut link = Link::after(previous);
    link.u64(record.number);
    link.u64(record.time.0);
    link.u64(record.actor);
    link.text(record.idempotency_key.as_ref().map_or("", |key| key.as_str()));
    link.event(&record.event);
    link.digest()
}

/// Collects the bytes of one link.
struct Link {
    bytes: alloc::vec::Vec<u8>,
}

impl Link {
    fn after(previous: &Digest) -> Self {
        let mut bytes = alloc::vec::Vec::with_capacity(256);
        bytes.extend_from_slice(&previous.0);
        Self { bytes }
    }

    fn digest(self) -> Digest {
        Digest(*blake3::hash(&self.bytes).as_bytes())
    }

    fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(value.as_bytes());
    }

    fn text(&mut self, text: &str) {
        // Every text of the ledger is bounded far below 4 GiB.
        self.bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn account(&mut self, account: Account) {
        match account {
            Account::Treasury => self.u8(0),
            Account::Seller(id) => {
                self.u8(1);
                self.uuid(id);
            }
            Account::Phone(phone) => {
                self.u8(2);
                self.u64(phone.digits());
            }
        }
    }

    /// The byte in front of each event names it; an assigned one is never reused.
    fn event(&mut self, event: &Event) {
        match event {
            Event::Genesis(genesis) => {
                self.u8(1);
                self.genesis(genesis);
            }
            Event::SellerCreated { name } => {
                self.u8(2);
                self.text(name.as_str());
            }
            Event::SellerStatusSet { seller, status, name, balance, created_at } => {
                self.u8(3);
                self.u64(*seller);
                self.status(*status);
                self.text(name.as_str());
                self.u64(balance.minor());
                self.u64(created_at.0);
            }
            Event::KeyCreated { name, grant, hash } => {
                self.u8(4);
                self.text(name.as_str());
                self.grant(*grant);
                self.bytes.extend_from_slice(&hash.0);
            }
            Event::KeyRevoked { key } => {
                self.u8(5);
                self.u64(*key);
            }
            Event::CreditRequested { seller, amount, note } => {
                self.u8(6);
                self.u64(*seller);
                self.u64(amount.minor());
                self.text(note.as_str());
            }
            Event::CreditApproved { request, reason, entry, balance } => {
                self.u8(7);
                self.request(request);
                self.text(reason.as_str());
                self.u64(*entry);
                self.u64(balance.minor());
            }
            Event::CreditRejected { request, reason } => {
                self.u8(8);
                self.request(request);
                self.text(reason.as_str());
            }
            Event::Adjusted { seller, amount, reason, entry, balance } => {
                self.u8(9);
                self.u64(*seller);
                self.i64(amount.minor());
                self.text(reason.as_str());
                self.u64(*entry);
                self.u64(balance.minor());
            }
            Event::Charged { seller, phone, amount, entry, balance } => {
                self.u8(10);
                self.u64(*seller);
                self.u64(phone.digits());
                self.u64(amount.minor());
                self.u64(*entry);
                self.u64(balance.minor());
            }
            Event::Reversed { charge, seller, phone, amount, reason, entry, balance } => {
                self.u8(11);
                self.u64(*charge);
                self.u64(*seller);
                self.u64(phone.digits());
                self.u64(amount.minor());
                self.text(reason.as_str());
                self.u64(*entry);
                self.u64(balance.minor());
            }
            Event::Refused { action, refusal } => {
                self.u8(12);
                self.action(action);
                self.refusal(*refusal);
            }
            Event::NodeRegistered { node, incarnation } => {
                self.u8(13);
                self.u64(*node);
                self.uuid(*incarnation);
            }
        }
    }

    /// Numbered apart from events; an assigned byte is never reused.
    fn action(&mut self, action: &Action) {
        match action {
            Action::Genesis(genesis) => {
                self.u8(1);
                self.genesis(genesis);
            }
            Action::CreateSeller { name } => {
                self.u8(2);
                self.text(name.as_str());
            }
            Action::SetSellerStatus { seller, status } => {
                self.u8(3);
                self.u64(*seller);
                self.status(*status);
            }
            Action::CreateKey { name, grant, hash } => {
                self.u8(4);
                self.text(name.as_str());
                self.grant(*grant);
                self.bytes.extend_from_slice(&hash.0);
            }
            Action::RevokeKey { key } => {
                self.u8(5);
                self.u64(*key);
            }
            Action::RequestCredit { amount, note } => {
                self.u8(6);
                self.u64(amount.minor());
                self.text(note.as_str());
            }
            Action::DecideCredit { request, verdict, reason } => {
                self.u8(7);
                self.u64(*request);
                self.verdict(*verdict);
                self.text(reason.as_str());
            }
            Action::Adjust { seller, amount, reason } => {
                self.u8(8);
                self.u64(*seller);
                self.i64(amount.minor());
                self.text(reason.as_str());
            }
            Action::Charge { phone, amount } => {
                self.u8(9);
                self.u64(phone.digits());
                self.u64(amount.minor());
            }
            Action::Reverse { charge, reason } => {
                self.u8(10);
                self.u64(*charge);
                self.text(reason.as_str());
            }
            Action::RegisterNode { node, incarnation } => {
                self.u8(11);
                self.u64(*node);
                self.uuid(*incarnation);
            }
        }
    }

    fn genesis(&mut self, genesis: &crate::command::Genesis) {
        self.uuid(genesis.cluster);
        self.text(genesis.currency.as_str());
        self.u8(genesis.places);
        self.u64(genesis.key_window_ms);
        self.u64(genesis.keys_max);
        self.u64(u64::from(genesis.rules));
        self.bytes.extend_from_slice(&genesis.admin_key.0);
    }

    fn request(&mut self, request: &RequestShown) {
        self.u64(request.number);
        self.u64(request.seller);
        self.u64(request.amount.minor());
        self.text(request.note.as_str());
        self.u64(request.created_at.0);
    }

    fn status(&mut self, status: SellerStatus) {
        self.u8(match status {
            SellerStatus::Active => 1,
            SellerStatus::Suspended => 2,
        });
    }

    fn verdict(&mut self, verdict: Verdict) {
        self.u8(match verdict {
            Verdict::Approved => 1,
            Verdict::Rejected => 2,
        });
    }

    fn grant(&mut self, grant: Grant) {
        match grant {
            Grant::Admin => self.u8(1),
            Grant::Auditor => self.u8(2),
            Grant::Seller(seller) => {
                self.u8(3);
                self.u64(seller);
            }
        }
    }

    fn refusal(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::InsufficientCredit { balance } => {
                self.u8(1);
                self.u64(balance.minor());
            }
            Refusal::SellerSuspended => self.u8(2),
            Refusal::RequestDecided { verdict } => {
                self.u8(3);
                self.verdict(verdict);
            }
            Refusal::ChargeReversed => self.u8(4),
            Refusal::LimitExceeded => self.u8(5),
            Refusal::NameTaken => self.u8(6),
            Refusal::LastAdminKey => self.u8(7),
        }
    }
}
