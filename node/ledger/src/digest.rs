//! What makes two ledgers equal: a chain over records, which replicas compare, and a chain over entries, which is published.
//!
//! Both are hashed by block, and a page of [`crate::PAGE_RECORDS`] records is a block of both. The digest at an item is BLAKE3 of
//! the chain's domain byte (1: records, 2: entries), the ledger's id (16), the digest at the last item of any earlier page
//! (32; zeros where there is none), and the bytes of the items of this page up to that one. So a page and the digests
//! before it are all that is needed to give or check either digest anywhere in it, and a long input hashes several times
//! faster than many short ones.
//!
//! The bytes of an item are written by hand and frozen per rules version: those of an entry here, those of an event and an
//! action in their file of [`crate::commands`]. Integers are big-endian; a text is its length in bytes (4 bytes) and its
//! UTF-8.
//!
//! The bytes of an entry, in order: number (8), record (8), time in ms (8), kind (1: credit 1, adjustment 2, charge 3,
//! reversal 4), seller id (16), amount in minor units from the seller's side (8, two's complement), balance after (8),
//! debit account, credit account (each: 0 for the treasury; 1 and the seller id, 16; 2 and the phone's digits as an
//! integer, 8), reference id (16), phone digits or zero (8), actor (text), caller's reference (text, empty for none).
//! Kinds 5 to 15 and account 3 are kept for holds and fees.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A digest of a chain. Shown as 64 hexadecimal digits.
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

/// The chain over records, at one of them.
#[derive(Debug, Clone)]
pub struct RecordChain(Chain);

impl Default for RecordChain {
    /// Before the first record.
    fn default() -> Self {
        Self::before_page(0, Digest::ZERO)
    }
}

impl RecordChain {
    /// Before the first record of `page`, where the digest is `before`.
    pub fn before_page(page: u64, before: Digest) -> Self {
        Self(Chain::new(Domain::Records, page, before))
    }

    /// One record of `page` further, in the ledger of this id.
    pub(crate) fn push_item(&mut self, ledger: Uuid, page: u64, write: impl FnOnce(&mut ItemBytes<'_>)) {
        self.0.push(ledger, page, write);
    }

    /// The digest at the last record.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// Begins `page`; gives the digest before it.
    pub(crate) fn turn_to(&mut self, page: u64) -> Digest {
        self.0.turn_to(page)
    }
}

/// The chain over entries, at one of them.
#[derive(Debug, Clone)]
pub struct EntryChain(Chain);

impl Default for EntryChain {
    /// Before the first entry.
    fn default() -> Self {
        Self::before_page(0, Digest::ZERO)
    }
}

impl EntryChain {
    /// Before the first entry of `page`, where the digest is `before`.
    pub fn before_page(page: u64, before: Digest) -> Self {
        Self(Chain::new(Domain::Entries, page, before))
    }

    /// One entry of `page` further, in the ledger of this id.
    pub(crate) fn push_item(&mut self, ledger: Uuid, page: u64, write: impl FnOnce(&mut ItemBytes<'_>)) {
        self.0.push(ledger, page, write);
    }

    /// The digest at the last entry.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// Begins `page`; gives the digest before it.
    pub(crate) fn turn_to(&mut self, page: u64) -> Digest {
        self.0.turn_to(page)
    }
}

/// Which chain: the byte that its blocks begin with, so that no block of one can stand for a block of the other.
#[derive(Debug, Clone, Copy)]
enum Domain {
    Records = 1,
    Entries = 2,
}

/// Bytes that are gathered before they are hashed: more than a page of charges takes, so that a block is hashed at once and
/// at its full speed, and so few that hashing them for one digest costs about a microsecond.
const GATHERED_BYTES: usize = 8 * 1024;

/// A chain in the middle of a block.
#[derive(Debug, Clone)]
struct Chain {
    domain: Domain,
    /// The page that is the open block.
    page: u64,
    /// The digest at the last item of the pages before it.
    before: Digest,
    /// The block so far, but for what is gathered.
    hasher: blake3::Hasher,
    /// The end of the block so far.
    gathered: Vec<u8>,
    is_empty: bool,
}

impl Chain {
    fn new(domain: Domain, page: u64, before: Digest) -> Self {
        Self { domain, page, before, hasher: blake3::Hasher::new(), gathered: Vec::new(), is_empty: true }
    }

    /// Ends the open block where it is not that of `page`; gives the digest before `page`.
    fn turn_to(&mut self, page: u64) -> Digest {
        if self.page != page {
            self.before = self.digest();
            self.page = page;
            self.hasher.reset();
            self.gathered.clear();
            self.is_empty = true;
        }
        self.before
    }

    /// The next item, which is in `page`.
    fn push(&mut self, ledger: Uuid, page: u64, write: impl FnOnce(&mut ItemBytes<'_>)) {
        self.turn_to(page);
        write(&mut self.item(ledger));
        self.absorb();
    }

    /// Where the bytes of the next item go.
    fn item(&mut self, ledger: Uuid) -> ItemBytes<'_> {
        let mut bytes = ItemBytes(&mut self.gathered);
        if self.is_empty {
            bytes.u8(self.domain as u8);
            bytes.uuid(ledger);
            bytes.bytes(&self.before.0);
        }
        self.is_empty = false;
        bytes
    }

    /// After an item: hashes what is gathered, where that is much.
    fn absorb(&mut self) {
        if self.gathered.len() >= GATHERED_BYTES {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
        }
    }

    fn digest(&self) -> Digest {
        if self.is_empty {
            return self.before;
        }
        Digest(*self.hasher.clone().update(&self.gathered).finalize().as_bytes())
    }
}

/// Takes the bytes of one item of a chain.
pub(crate) struct ItemBytes<'a>(&'a mut Vec<u8>);

impl ItemBytes<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        // Every text of the ledger is bounded far below 4 GiB.
        self.0.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Bytes of a length that is fixed.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: Uuid = Uuid::from_u128(7);

    fn chain_of(items: &[(u64, &[u8])]) -> Chain {
        let mut chain = Chain::new(Domain::Records, 0, Digest::ZERO);
        for (page, item) in items {
            chain.turn_to(*page);
            chain.item(LEDGER).bytes(item);
            chain.absorb();
        }
        chain
    }

    fn hash(parts: &[&[u8]]) -> Digest {
        Digest(*blake3::hash(&parts.concat()).as_bytes())
    }

    #[test]
    fn a_digest_covers_the_domain_the_ledger_the_block_before_and_its_own_block() {
        let first = hash(&[&[1], LEDGER.as_bytes(), &[0; 32], b"ab"]);
        assert_eq!(chain_of(&[(0, b"a"), (0, b"b")]).digest(), first);
        let second = hash(&[&[1], LEDGER.as_bytes(), &first.0, b"c"]);
        assert_eq!(chain_of(&[(0, b"a"), (0, b"b"), (5, b"c")]).digest(), second);
        let mut chain = Chain::new(Domain::Entries, 5, first);
        assert_eq!(chain.digest(), first, "before the first item of a block it is that of the block before");
        chain.item(LEDGER).bytes(b"c");
        assert_eq!(chain.digest(), hash(&[&[2], LEDGER.as_bytes(), &first.0, b"c"]));
    }

    #[test]
    fn a_digest_does_not_depend_on_what_was_hashed_when() {
        let items: Vec<_> = (0_u8..40).map(|byte| alloc::vec![byte; 1_000]).collect();
        let mut chain = chain_of(&[]);
        let mut bytes = [&[1], LEDGER.as_bytes().as_slice(), &[0; 32]].concat();
        for item in &items {
            chain.item(LEDGER).bytes(item);
            chain.absorb();
            bytes.extend_from_slice(item);
            assert_eq!(chain.digest(), hash(&[&bytes]));
        }
        assert!(chain.gathered.len() < GATHERED_BYTES);
    }
}
