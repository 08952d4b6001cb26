//! Numbers inside, UUIDs outside. An id is its record's number in a `UUIDv8`, so that it needs no index.
//!
//! Layout (RFC 9562, section 5.8): 48 bits record number, version 8, 4 bits kind, 8 bits tag, variant, 62 bits tag.
//! The tag mixes number, kind, ledger and epoch, so that a mistyped id, one of another ledger, or one of a decision that a
//! restore lost is not found.

use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of a record: 1, 2, 3 … without gaps, below 2^48.
pub type RecordNumber = u64;

/// The record number of the API key that acts.
pub type ApiKeyNumber = RecordNumber;

/// The actor of commands that the cluster itself gives (genesis, registering a node). No API key has it.
pub const SYSTEM_ACTOR: ApiKeyNumber = 0;

/// Its name in the journal and among the acts.
pub const SYSTEM_NAME: &str = "etebar";

/// BLAKE3 of an API key's text; the key itself is nowhere kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyHash(pub [u8; 32]);

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(…)")
    }
}

/// Ledger time: milliseconds since the Unix epoch, UTC. It is stamped by the leader and only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The last instant that RFC 3339 can write, 9999-12-31T23:59:59.999Z: no record is stamped later.
    pub const LAST: Self = Self(253_402_300_799_999);

    /// This time and `ms` more, at most the end of time.
    #[must_use]
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Which record, and when it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The record's number.
    pub number: RecordNumber,
    /// Its time.
    pub time: Time,
}

/// What an id names. An assigned number is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// A seller.
    Seller = 1,
    /// An API key.
    Key = 2,
    /// A credit request.
    CreditRequest = 3,
    /// A charge.
    Charge = 4,
    /// An adjustment.
    Adjustment = 5,
}

/// Translates between record numbers and the UUIDs of one ledger. What a record made has an id of the record's epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdSpace {
    salt: u64,
    /// The first record of the present epoch; 0 in the first one.
    first: RecordNumber,
    /// The epochs before it, oldest first: the salt of each, and the first record after it.
    earlier: Arc<[(u64, RecordNumber)]>,
}

impl IdSpace {
    /// The ids of the ledger with this id, which began in this epoch.
    pub fn new(ledger: Uuid, epoch: u32) -> Self {
        Self { salt: salt(ledger, epoch), ..Self::default() }
    }

    /// From record `first` on, ids are of this epoch.
    pub fn begin_epoch(&mut self, ledger: Uuid, epoch: u32, first: RecordNumber) {
        self.earlier = self.earlier.iter().copied().chain([(self.salt, first)]).collect();
        (self.salt, self.first) = (salt(ledger, epoch), first);
    }

    /// The salt of the epoch in which record `number` was decided.
    fn salt_of(&self, number: RecordNumber) -> u64 {
        if number >= self.first {
            return self.salt;
        }
        let holds = |epoch: &&(u64, RecordNumber)| number < epoch.1;
        self.earlier.iter().find(holds).map_or(self.salt, |(salt, _)| *salt)
    }

    /// The id of the thing of this kind that record `number` made.
    pub fn uuid(&self, kind: IdKind, number: RecordNumber) -> Uuid {
        let tag = mix(self.salt_of(number) ^ number ^ ((kind as u64) << 56));
        let high = (number << 16) | 0x8000 | ((kind as u64) << 8) | (tag >> 56);
        let low = (0b10 << 62) | (tag & 0x3fff_ffff_ffff_ffff);
        Uuid::from_u64_pair(high, low)
    }

    /// The record number in an id of this kind; `None` where it is no such id of this ledger, in that record's epoch.
    pub fn number(&self, kind: IdKind, id: Uuid) -> Option<RecordNumber> {
        let number = id.as_u64_pair().0 >> 16;
        (number != 0 && self.uuid(kind, number) == id).then_some(number)
    }
}

/// The kind and the record number that an id states, whatever cluster it is of; `None` where the kind is none that is known.
pub fn stated_in(id: Uuid) -> Option<(IdKind, RecordNumber)> {
    let high = id.as_u64_pair().0;
    let kind = match (high >> 8) & 0b1111 {
        1 => IdKind::Seller,
        2 => IdKind::Key,
        3 => IdKind::CreditRequest,
        4 => IdKind::Charge,
        5 => IdKind::Adjustment,
        _ => return None,
    };
    Some((kind, high >> 16))
}

/// What the ids of a ledger in an epoch are mixed with.
fn salt(ledger: Uuid, epoch: u32) -> u64 {
    let (high, low) = ledger.as_u64_pair();
    mix(high ^ mix(low ^ mix(u64::from(epoch))))
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): spreads every input bit over the output.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
