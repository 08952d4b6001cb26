//! What makes two ledgers equal: a chain over records, which replicas compare, and a chain over entries, which is published.
//!
//! Each link is BLAKE3 of the previous digest (32 bytes; zeros before the first) and the item's bytes, written by hand
//! and frozen per rules version: those of an entry here, those of an event and an action in their file of
//! [`crate::commands`]. Integers are big-endian; a text is its length in bytes (4 bytes) and its UTF-8.
//!
//! The published bytes of an entry, in order: number (8), time in ms (8), kind (1: credit 1, adjustment 2, charge 3,
//! reversal 4), seller id (16), amount in minor units from the seller's side (8, two's complement), balance after (8),
//! debit account, credit account (each: 0 for the treasury; 1 and the seller id, 16; 2 and the phone's digits as an
//! integer, 8), reference id (16), phone digits or zero (8), actor (text).

use core::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entry::{Account, Entry};
use crate::values::phone::Phone;

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
    let mut link = ChainLink::after(previous);
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

/// Collects the bytes of one link.
pub(crate) struct ChainLink {
    bytes: alloc::vec::Vec<u8>,
}

impl ChainLink {
    pub(crate) fn after(previous: &Digest) -> Self {
        let mut bytes = alloc::vec::Vec::with_capacity(256);
        bytes.extend_from_slice(&previous.0);
        Self { bytes }
    }

    pub(crate) fn digest(self) -> Digest {
        Digest(*blake3::hash(&self.bytes).as_bytes())
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        // Every text of the ledger is bounded far below 4 GiB.
        self.bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Bytes of a length that is fixed.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
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
}
