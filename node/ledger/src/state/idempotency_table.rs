//! Which idempotency keys are remembered: a fingerprint and a record number for each, for a window of ledger time.
//!
//! The record is the truth: it holds its key, its actor and its time. So a key takes 8 bytes here, with the free slots about
//! 11, and what the table names for a key is a candidate that its record confirms. Two keys share a fingerprint and a shard
//! with a probability of 2^-42; then one record more is read.
//!
//! Invariants: no key is dropped before its window is over; a slot that names an expired record is free. Counts are those of
//! whole buckets of time: a key counts until its bucket is past the window, so it may count too long and never too short.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::sharded::{SHARDS as HOLDER_TABLES, Sharded, TableSeed};
use crate::values::ids::{RecordNumber, Time};

/// Number of tables, of which one at a time is rebuilt: with 40 million keys that moves 40,000 slots.
const SHARDS: usize = 1_024;

/// How far the hash is shifted to pick a table: its upper 10 bits, which no fingerprint has.
const SHARD_SHIFT: u32 = 54;

/// Buckets of time in a window for the count of all keys, and for the counts of each seller.
const COUNT_BUCKETS: u64 = 65_536;
const SHARE_BUCKETS: u64 = 64;

/// How many buckets an insert drops at most: more than it adds, so that few are left.
const DROPPED_AN_INSERT: usize = 4;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 8;

const FREE: u64 = 0;

/// The hash of a key in its scope; see [`TableSeed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyHash(pub u64);

impl IdempotencyHash {
    fn shard(self) -> usize {
        usize::try_from(self.0 >> SHARD_SHIFT).unwrap_or(0)
    }

    /// Never zero, since a slot without anything is.
    fn fingerprint(self) -> u64 {
        (self.0 & 0xffff_ffff).max(1)
    }
}

/// Open addressing with linear probing. A slot is the low 32 bits of a record number and 32 bits of the hash, or [`FREE`].
#[derive(Debug, Clone, Default)]
struct Shard {
    slots: Box<[u64]>,
    /// How many are not [`FREE`].
    used: usize,
}

impl Shard {
    /// Where the probe for a fingerprint begins: as far into the table as the fingerprint is into its range.
    fn home(&self, fingerprint: u64) -> usize {
        let at = fingerprint.saturating_mul(self.slots.len() as u64) >> 32;
        usize::try_from(at).unwrap_or(0)
    }

    /// The slots from the home of a fingerprint on, each once.
    fn probe(&self, fingerprint: u64) -> impl Iterator<Item = (usize, u64)> + '_ {
        let (before, behind) = self.slots.split_at_checked(self.home(fingerprint)).unwrap_or_default();
        let offset = before.len();
        let behind = behind.iter().enumerate().map(move |(at, slot)| (at.saturating_add(offset), *slot));
        behind.chain(before.iter().enumerate().map(|(at, slot)| (at, *slot)))
    }

    /// Puts a slot where there is room; `is_live` tells of a used one whether it has to stay.
    fn put(&mut self, slot: u64, is_live: impl Fn(u64) -> bool) {
        let Some((at, before)) = self.probe(slot & 0xffff_ffff).find(|(_, found)| *found == FREE || !is_live(*found))
        else {
            unreachable!("a table has free slots")
        };
        self.used = self.used.saturating_add(usize::from(before == FREE));
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
    }

    /// Makes room for one more: where four fifths are used, a table of one and a half times what is live.
    fn make_room(&mut self, is_live: impl Fn(u64) -> bool + Copy) {
        if self.used.saturating_mul(5) < self.slots.len().saturating_mul(4) {
            return;
        }
        let live = self.slots.iter().filter(|slot| **slot != FREE && is_live(**slot)).count();
        let slots = vec![FREE; live.saturating_add(live / 2).saturating_add(SLOTS_MIN)].into_boxed_slice();
        let before = core::mem::replace(self, Self { slots, used: 0 });
        for slot in before.slots.iter().filter(|slot| **slot != FREE && is_live(**slot)) {
            self.put(*slot, is_live);
        }
    }
}

/// The keys of one bucket of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The bucket's time, in units of the bucket's width.
    bucket: u64,
    /// The first record with a key in it.
    first: RecordNumber,
    /// How many keys were inserted, ever, up to its end.
    until: u64,
}

/// How many keys each seller inserted in one bucket of time.
#[derive(Debug, Clone)]
struct Shares {
    bucket: u64,
    sellers: Sharded<u64>,
    /// The sellers in `sellers`, each once.
    order: Vec<RecordNumber>,
}

/// The most keys that one seller holds. It falls only where a bucket is dropped; what it is then shows once all sellers were
/// gone through, one small table of them with each insert. Until then it may be too high, and never too low.
#[derive(Debug, Clone, Default)]
struct Fullest {
    held: u64,
    recount: Option<Recount>,
}

/// Going through the sellers.
#[derive(Debug, Clone, Copy, Default)]
struct Recount {
    /// The next of their small tables.
    table: usize,
    /// The most that one holds, of those that were gone through or inserted a key meanwhile.
    found: u64,
}

impl Fullest {
    /// A seller holds so many now.
    fn see(&mut self, held: u64) {
        self.held = self.held.max(held);
        if let Some(recount) = &mut self.recount {
            recount.found = recount.found.max(held);
        }
    }

    /// Sellers hold fewer now.
    fn begin_recount(&mut self) {
        self.recount = Some(Recount::default());
    }

    fn go_on(&mut self, holders: &Sharded<u64>) {
        let Some(recount) = &mut self.recount else { return };
        let most = holders.shard(recount.table).map(|(_, held)| *held).max();
        recount.found = recount.found.max(most.unwrap_or(0));
        recount.table = recount.table.saturating_add(1);
        if recount.table >= HOLDER_TABLES {
            self.held = recount.found;
            self.recount = None;
        }
    }
}

/// The keys that are remembered.
#[derive(Debug, Clone)]
pub struct IdempotencyTable {
    seed: TableSeed,
    shards: Vec<Arc<Shard>>,
    /// How many keys were inserted, ever, and how many of them `counted` does not cover any more.
    inserted: u64,
    dropped: u64,
    counted: VecDeque<Counted>,
    shares: VecDeque<Shares>,
    /// How many keys of `shares` each seller holds; zero where it holds none.
    holders: Sharded<u64>,
    /// How many sellers hold any.
    holding: u64,
    fullest: Fullest,
    /// The last record that was inserted.
    head: RecordNumber,
    window_ms: u64,
    bound: u64,
}

/// How many of the keys that are within their window at one time each seller holds.
#[derive(Debug)]
pub struct IdempotencyShares<'a> {
    holders: &'a Sharded<u64>,
    /// Keys that `holders` counts though they are past their window.
    expired: BTreeMap<RecordNumber, u64>,
    sellers: u64,
}

impl IdempotencyShares<'_> {
    /// How many keys a seller holds.
    pub fn held(&self, seller: RecordNumber) -> u64 {
        let counted = self.holders.get(seller).copied().unwrap_or(0);
        counted.saturating_sub(self.expired.get(&seller).copied().unwrap_or(0))
    }

    /// How many sellers hold any.
    pub fn sellers(&self) -> u64 {
        self.sellers
    }
}

impl IdempotencyTable {
    /// An empty table that remembers for `window_ms`, and `bound` keys at most (which the leader sees to).
    pub fn new(seed: TableSeed, window_ms: u64, bound: u64) -> Self {
        Self {
            seed,
            shards: vec![Arc::default(); SHARDS],
            inserted: 0,
            dropped: 0,
            counted: VecDeque::new(),
            shares: VecDeque::new(),
            holders: Sharded::new(seed),
            holding: 0,
            fullest: Fullest::default(),
            head: 0,
            window_ms,
            bound,
        }
    }

    /// The seed of its hashes.
    pub fn seed(&self) -> TableSeed {
        self.seed
    }

    /// The records that may have been decided under this key within the window before `time`, in no order; all but one of
    /// them by chance.
    pub fn candidates(&self, key: IdempotencyHash, time: Time) -> impl Iterator<Item = RecordNumber> + '_ {
        let first = self.first_live(time);
        let fingerprint = key.fingerprint();
        let slots = self.shards.get(key.shard()).into_iter().flat_map(move |shard| shard.probe(fingerprint));
        let slots = slots.map(|(_, slot)| slot).take_while(|slot| *slot != FREE);
        let alike = slots.filter(move |slot| slot & 0xffff_ffff == fingerprint);
        alike.filter_map(|slot| number_of(slot, self.head)).filter(move |number| *number >= first)
    }

    /// The slot where the look-up of a key begins; free where the table has none.
    pub fn first_slot(&self, key: IdempotencyHash) -> u64 {
        let slot = self.shards.get(key.shard()).and_then(|shard| shard.slots.get(shard.home(key.fingerprint())));
        slot.copied().unwrap_or(FREE)
    }

    /// The earliest decision that is remembered at `now`: all later than the window before.
    pub fn remembered_since(&self, now: Time) -> Time {
        Time(now.0.checked_sub(self.window_ms).map_or(0, |end| end.saturating_add(1)))
    }

    /// Remembers a decision for a seller, or for an admin where that is `None`.
    pub fn insert(&mut self, key: IdempotencyHash, seller: Option<RecordNumber>, record: RecordNumber, time: Time) {
        self.head = record;
        self.drop_expired(time);
        let (first, head) = (self.first_live(time), self.head);
        let is_live = |slot: u64| number_of(slot, head).is_some_and(|number| number >= first);
        if let Some(shard) = self.shards.get_mut(key.shard()).map(Arc::make_mut) {
            shard.make_room(is_live);
            shard.put((record & 0xffff_ffff) << 32 | key.fingerprint(), is_live);
        }
        self.inserted = self.inserted.saturating_add(1);
        let bucket = bucket_of(time, self.count_width());
        match self.counted.back_mut() {
            Some(last) if last.bucket == bucket => last.until = self.inserted,
            Some(_) | None => self.counted.push_back(Counted { bucket, first: record, until: self.inserted }),
        }
        if let Some(seller) = seller {
            self.count_share(seller, time);
        }
        self.fullest.go_on(&self.holders);
    }

    fn count_share(&mut self, seller: RecordNumber, time: Time) {
        let bucket = bucket_of(time, self.share_width());
        if self.shares.back().is_none_or(|last| last.bucket != bucket) {
            self.shares.push_back(Shares { bucket, sellers: Sharded::new(self.seed), order: Vec::new() });
        }
        let Some(last) = self.shares.back_mut() else { return };
        let (Some(in_bucket), Some(held)) = (last.sellers.get_or_default(seller), self.holders.get_or_default(seller))
        else {
            return;
        };
        if *in_bucket == 0 {
            last.order.push(seller);
        }
        self.holding = self.holding.saturating_add(u64::from(*held == 0));
        *in_bucket = in_bucket.saturating_add(1);
        *held = held.saturating_add(1);
        self.fullest.see(*held);
    }

    /// Drops buckets that `time` is past.
    fn drop_expired(&mut self, time: Time) {
        let (width, window_ms) = (self.count_width(), self.window_ms);
        for _ in 0..DROPPED_AN_INSERT {
            let Some(oldest) = self.counted.pop_front_if(|oldest| is_past(oldest.bucket, width, window_ms, time))
            else {
                break;
            };
            self.dropped = oldest.until;
        }
        let width = self.share_width();
        let Some(oldest) = self.shares.pop_front_if(|oldest| is_past(oldest.bucket, width, window_ms, time)) else {
            return;
        };
        for seller in oldest.order {
            let Some(held) = self.holders.get_or_default(seller) else { continue };
            *held = held.saturating_sub(oldest.sellers.get(seller).copied().unwrap_or(0));
            self.holding = self.holding.saturating_sub(u64::from(*held == 0));
        }
        self.fullest.begin_recount();
    }

    /// How many inserts at `time` keep the number of keys within the bound, `most` at most.
    pub fn capacity(&self, time: Time, most: u64) -> u64 {
        self.bound.saturating_sub(self.in_use(time)).min(most)
    }

    /// How many keys are within their window at `time`.
    pub fn in_use(&self, time: Time) -> u64 {
        let expired = self.expired(time);
        let gone =
            expired.checked_sub(1).and_then(|last| self.counted.get(last)).map_or(self.dropped, |last| last.until);
        self.inserted.saturating_sub(gone)
    }

    /// The most keys that one seller holds, as of the last insert: counted by buckets, as [`Self::shares`] is, and perhaps too
    /// high for the next few hundred inserts after one was dropped.
    pub fn fullest(&self) -> u64 {
        self.fullest.held
    }

    /// How many of them each seller holds.
    pub fn shares(&self, time: Time) -> IdempotencyShares<'_> {
        let mut expired: BTreeMap<RecordNumber, u64> = BTreeMap::new();
        let width = self.share_width();
        for past in self.shares.iter().take_while(|shares| is_past(shares.bucket, width, self.window_ms, time)) {
            for seller in &past.order {
                let count = expired.entry(*seller).or_default();
                *count = count.saturating_add(past.sellers.get(*seller).copied().unwrap_or(0));
            }
        }
        let gone = expired.iter().filter(|(seller, count)| self.holders.get(**seller) == Some(*count)).count() as u64;
        IdempotencyShares { holders: &self.holders, sellers: self.holding.saturating_sub(gone), expired }
    }

    /// The first record that may hold a key which is within its window at `time`.
    fn first_live(&self, time: Time) -> RecordNumber {
        self.counted.get(self.expired(time)).map_or(RecordNumber::MAX, |oldest| oldest.first)
    }

    /// How many buckets, from the oldest on, are past the window at `time`. The first ones are looked at first, since
    /// mostly there is none.
    fn expired(&self, time: Time) -> usize {
        let (width, window_ms) = (self.count_width(), self.window_ms);
        let is_past = |counted: &Counted| is_past(counted.bucket, width, window_ms, time);
        if self.counted.front().is_none_or(|oldest| !is_past(oldest)) {
            return 0;
        }
        self.counted.partition_point(is_past)
    }

    fn count_width(&self) -> u64 {
        self.window_ms.div_ceil(COUNT_BUCKETS).max(1)
    }

    fn share_width(&self) -> u64 {
        self.window_ms.div_ceil(SHARE_BUCKETS).max(1)
    }
}

/// How many keys there are, by time, as an image holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    inserted: u64,
    dropped: u64,
    counted: VecDeque<Counted>,
    head: RecordNumber,
}

/// One of the small tables as an image holds it: its slots, 8 bytes each, little-endian.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    shard: u32,
    used: u64,
    #[serde(with = "bytes")]
    in_bytes: Vec<u8>,
}

/// How many keys each seller inserted in one bucket of time, as an image holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerKeys {
    bucket: u64,
    sellers: Vec<(RecordNumber, u64)>,
}

/// Bytes as one piece, since serde takes a vector of them byte by byte.
pub(crate) mod bytes {
    use alloc::vec::Vec;
    use core::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// To and from an image.
impl IdempotencyTable {
    /// The counts of all keys.
    pub(super) fn counts(&self) -> Counts {
        Counts { inserted: self.inserted, dropped: self.dropped, counted: self.counted.clone(), head: self.head }
    }

    /// The small tables, one after the other.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slots> + '_ {
        (0_u32..).zip(&self.shards).map(|(shard, table)| Slots {
            shard,
            used: table.used as u64,
            in_bytes: table.slots.iter().flat_map(|slot| slot.to_le_bytes()).collect(),
        })
    }

    /// The counts of each seller, from the oldest bucket on.
    pub(super) fn shares_in_order(&self) -> impl Iterator<Item = SellerKeys> + '_ {
        self.shares.iter().map(|shares| {
            let count = |seller: &RecordNumber| (*seller, shares.sellers.get(*seller).copied().unwrap_or(0));
            SellerKeys { bucket: shares.bucket, sellers: shares.order.iter().map(count).collect() }
        })
    }

    /// Takes the counts of an image.
    pub(super) fn set_counts(&mut self, counts: Counts) {
        let Counts { inserted, dropped, counted, head } = counts;
        (self.inserted, self.dropped, self.counted, self.head) = (inserted, dropped, counted, head);
    }

    /// Takes one of the small tables of an image.
    pub(super) fn set_slots(&mut self, of_image: &Slots) -> Result<(), &'static str> {
        let table = usize::try_from(of_image.shard).ok().and_then(|shard| self.shards.get_mut(shard));
        let table = table.ok_or("there is no such table of keys")?;
        let (slots, rest) = of_image.in_bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err("a table of keys is cut");
        }
        let slots: Box<[u64]> = slots.iter().map(|slot| u64::from_le_bytes(*slot)).collect();
        let used = slots.iter().filter(|slot| **slot != FREE).count();
        if used as u64 != of_image.used {
            return Err("keys are missing from their table");
        }
        *table = Arc::new(Shard { slots, used });
        Ok(())
    }

    /// Takes the next bucket of sellers of an image.
    pub(super) fn add_shares(&mut self, of_image: SellerKeys) {
        let mut shares = Shares { bucket: of_image.bucket, sellers: Sharded::new(self.seed), order: Vec::new() };
        for (seller, count) in of_image.sellers {
            shares.sellers.insert(seller, count);
            shares.order.push(seller);
            let Some(held) = self.holders.get_or_default(seller) else { continue };
            self.holding = self.holding.saturating_add(u64::from(*held == 0 && count > 0));
            *held = held.saturating_add(count);
            self.fullest.see(*held);
        }
        self.shares.push_back(shares);
    }

    /// Whether the two remember the same keys at `time`, with the same counts.
    pub(super) fn is_like(&self, other: &Self, time: Time) -> bool {
        let first = self.first_live(time);
        let is_live = |slot: u64| slot != FREE && number_of(slot, self.head).is_some_and(|number| number >= first);
        let live = |table: &IdempotencyTable| {
            let tables = table.shards.iter().map(|table| {
                let mut live: Vec<u64> = table.slots.iter().copied().filter(|slot| is_live(*slot)).collect();
                live.sort_unstable();
                live
            });
            tables.collect::<Vec<_>>()
        };
        self.counts() == other.counts()
            && (self.holding, live(self)) == (other.holding, live(other))
            && self.shares_in_order().eq(other.shares_in_order())
    }
}

fn bucket_of(time: Time, width: u64) -> u64 {
    time.0.checked_div(width).unwrap_or(0)
}

/// Whether a bucket's last millisecond is past the window at `time`.
fn is_past(bucket: u64, width: u64, window_ms: u64, time: Time) -> bool {
    let last = bucket.saturating_mul(width).saturating_add(width.saturating_sub(1));
    time >= Time(last).after(window_ms)
}

/// The record number of a slot: the last one up to `head` that ends in its 32 bits.
fn number_of(slot: u64, head: RecordNumber) -> Option<RecordNumber> {
    let (low, high) = (slot >> 32, head & !0xffff_ffff);
    let number = high | low;
    if number <= head { Some(number) } else { number.checked_sub(1 << 32) }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::hash::BuildHasher;

    use super::*;

    const WINDOW_MS: u64 = 1_000;

    fn table() -> IdempotencyTable {
        IdempotencyTable::new(TableSeed([1, 2]), WINDOW_MS, 1_000_000)
    }

    /// All in one table, with few fingerprints, so that probes are long and fingerprints collide.
    fn colliding(number: u64) -> IdempotencyHash {
        IdempotencyHash((number % 97).wrapping_mul(0x0101_0101) & 0xffff_ffff)
    }

    #[test]
    fn a_key_is_a_candidate_exactly_within_its_window_however_many_collide() {
        let mut table = table();
        let mut decided: Vec<(u64, u64)> = Vec::new();
        let mut now = 0;
        for number in 1..=5_000_u64 {
            now += number % 3;
            table.insert(colliding(number), Some(number % 5), number, Time(now));
            decided.push((number, now));
        }
        for at in [now, now + 1, now + 300, now + WINDOW_MS - 1, now + WINDOW_MS] {
            for class in 0..97 {
                let mut found: Vec<_> = table.candidates(colliding(class), Time(at)).collect();
                found.sort_unstable();
                let expected: Vec<_> = decided
                    .iter()
                    .filter(|(number, since)| number % 97 == class && at < since + WINDOW_MS)
                    .map(|(number, _)| *number)
                    .collect();
                assert_eq!(found, expected, "class {class} at {at}");
            }
            let live = decided.iter().filter(|(_, since)| at < since + WINDOW_MS).count() as u64;
            assert_eq!(table.in_use(Time(at)), live);
        }
    }

    #[test]
    fn the_fullest_share_is_never_too_low_and_right_once_all_sellers_were_gone_through() {
        let mut table = table();
        let mut was_exact = 0;
        for number in 1..=60_000_u64 {
            let seller = if number < 20_000 { 7 } else { number % 300 };
            let now = Time(number / 20);
            table.insert(IdempotencyHash(TableSeed([3, 4]).hash_one(number)), Some(seller), number, now);
            let shares = table.shares(now);
            let most = (0..300).map(|seller| shares.held(seller)).max().unwrap_or(0);
            assert!(table.fullest() >= most, "record {number}: {} of {most}", table.fullest());
            was_exact += u64::from(table.fullest() == most);
        }
        assert!(was_exact > 10_000, "{was_exact}");
        assert!(table.fullest() < 100, "the one that held nearly all of them holds few now: {}", table.fullest());
    }

    #[test]
    fn a_steady_rate_takes_a_steady_memory() {
        let mut table = table();
        let slots = |table: &IdempotencyTable| table.shards.iter().map(|shard| shard.slots.len()).sum::<usize>();
        let mut most = 0;
        for number in 1..=400_000_u64 {
            let hash = TableSeed([3, 4]).hash_one(number);
            table.insert(IdempotencyHash(hash), None, number, Time(number / 100));
            if number == 200_000 {
                most = slots(&table);
            }
        }
        let live = table.in_use(Time(4_000));
        assert_eq!(live, 99_901, "those later than 3,000");
        assert!(slots(&table) <= most + most / 10, "{} slots, {most} before", slots(&table));
        assert!((slots(&table) as u64) < live * 2, "{} slots for {live} keys", slots(&table));
    }

    #[test]
    fn record_numbers_beyond_32_bits_are_whole() {
        let mut table = table();
        let numbers = [u64::from(u32::MAX) - 1, u64::from(u32::MAX) + 1, (7 << 32) + 3, (8 << 32) + 2];
        for pair in numbers.windows(2) {
            table = self::table();
            for number in pair {
                table.insert(IdempotencyHash(5), None, *number, Time(1));
            }
            // The first is 2^32 or more behind the second in the last two pairs: it cannot be told apart, and is not itself.
            let found: Vec<_> = table.candidates(IdempotencyHash(5), Time(1)).collect();
            assert!(found.contains(&pair[1]), "{found:?}");
            assert_eq!(found.contains(&pair[0]), pair[1] - pair[0] < 1 << 32, "{found:?}");
        }
        assert!(!table.candidates(IdempotencyHash(6), Time(1)).any(|_| true));
    }
}
