//! Idempotency keys: a second decision under one within its window is one too many.
//!
//! Kept apart from the ledger's own table. A slot is 8 bytes, a fingerprint and a record's number, for each key within the
//! window. What a fingerprint finds is a candidate; its record is read again and says whether it was decided under the same key.
//! With 40 million keys a fingerprint finds another's record once in 1,700 times.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use core::mem;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use super::actors::Actors;
use super::past::Past;
use crate::record::Record;
use crate::state::api_key::Grant;
use crate::state::genesis::Genesis;
use crate::state::idempotency_table::bytes;
use crate::state::sharded::TableSeed;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{RecordNumber, Time};
use crate::values::text::IdempotencyKey;

/// Number of tables: each is rebuilt by itself. Twelve bits of a hash pick one, besides the fingerprint.
const TABLES: usize = 4_096;
/// Bits of a slot that hold a record's number. Keys within one window are never 2^40 records apart.
const NUMBER_BITS: u32 = 40;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
/// A mark of time is kept for each such part of the window, so keys are dropped at most a 64th of it late.
const MARKS: u64 = 64;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    seed: TableSeed,
    window_ms: u64,
    tables: Vec<HashTable<u64>>,
    /// The first record that was decided at each of these times.
    marks: VecDeque<(Time, RecordNumber)>,
    /// Records before this one are out of the window.
    first_live: RecordNumber,
}

/// Where a key belongs: its table, and the fingerprint in the high bits of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    table: usize,
    fingerprint: u64,
}

impl Place {
    fn of(hash: u64) -> Self {
        let [high, low, ..] = hash.to_be_bytes();
        let table = usize::from(u16::from_be_bytes([high, low])) % TABLES;
        Self { table, fingerprint: hash << NUMBER_BITS }
    }
}

/// The hash under which a table finds a slot: its fingerprint, at both ends.
fn slot_hash(slot: u64) -> u64 {
    let fingerprint = slot & !NUMBER_MASK;
    fingerprint | (fingerprint >> NUMBER_BITS)
}

impl Keys {
    /// None seen yet.
    pub(super) fn new(seed: TableSeed) -> Self {
        let mut tables = Vec::new();
        tables.resize_with(TABLES, HashTable::new);
        Self { seed, window_ms: 0, tables, marks: VecDeque::new(), first_live: 0 }
    }

    /// Takes the window from the genesis.
    pub(super) fn begin(&mut self, genesis: &Genesis) {
        self.window_ms = genesis.key_window_ms;
    }

    /// When the key of this record was decided last, within the window before it; `None` where it has no key, or was not.
    pub(super) fn decided_before<P: Past + ?Sized>(
        &self,
        record: &Record,
        actors: &Actors,
        past: &P,
    ) -> Result<Option<Time>, P::Error> {
        let Some((place, key)) = self.place_of(record, actors) else { return Ok(None) };
        let mut last = None;
        for number in self.candidates(place, record.number) {
            let Some(old) = past.record(number)? else { continue };
            let is_same = old.idempotency_key.as_ref() == Some(key)
                && actors.scope(old.actor).is_some_and(|of| actors.scope(record.actor).is_some_and(|it| same(of, it)));
            if is_same && record.time < old.time.after(self.window_ms) {
                last = last.max(Some(old.time));
            }
        }
        Ok(last)
    }

    /// Keeps the record's key, where it has one.
    pub(super) fn keep(&mut self, record: &Record, actors: &Actors) {
        self.advance(record);
        let Some((place, _)) = self.place_of(record, actors) else { return };
        let first_live = self.first_live;
        let Some(table) = self.tables.get_mut(place.table) else { return };
        if table.len() == table.capacity() {
            rebuild(table, record.number, first_live);
        }
        let slot = place.fingerprint | (record.number & NUMBER_MASK);
        table.insert_unique(slot_hash(slot), slot, |slot| slot_hash(*slot));
    }

    /// Ledger time has come to the record's.
    fn advance(&mut self, record: &Record) {
        let step = self.window_ms / MARKS;
        if self.marks.back().is_none_or(|(time, _)| record.time >= time.after(step.max(1))) {
            self.marks.push_back((record.time, record.number));
        }
        while let Some((time, number)) = self.marks.front()
            && time.after(self.window_ms) <= record.time
        {
            self.first_live = *number;
            self.marks.pop_front();
        }
    }

    fn place_of<'a>(&self, record: &'a Record, actors: &Actors) -> Option<(Place, &'a IdempotencyKey)> {
        let key = record.idempotency_key.as_ref()?;
        let (grant, name) = actors.scope(record.actor)?;
        let mut hasher = self.seed.build_hasher();
        match grant {
            Grant::Seller(seller) => hasher.write_u64(seller),
            Grant::Admin | Grant::Auditor | Grant::Approver { .. } | Grant::Operator => {
                hasher.write(name.as_str().as_bytes());
            }
        }
        hasher.write_u8(0);
        hasher.write(key.as_str().as_bytes());
        Some((Place::of(hasher.finish()), key))
    }

    fn candidates(&self, place: Place, before: RecordNumber) -> impl Iterator<Item = RecordNumber> {
        let slots = self.tables.get(place.table).into_iter().flat_map(move |table| {
            let is_it = move |slot: &&u64| **slot & !NUMBER_MASK == place.fingerprint;
            table.iter_hash(slot_hash(place.fingerprint)).filter(is_it)
        });
        let first_live = self.first_live;
        slots.map(move |slot| number_of(*slot, before)).filter(move |number| *number >= first_live)
    }
}

/// Least slots in a part of an image.
const PART_SLOTS: usize = 1_024;

/// Some tables that follow each other, as an image holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyTables {
    /// Which table is the first.
    first: u32,
    /// How many slots each has.
    lengths: Vec<u32>,
    /// All slots, 8 bytes each, little-endian.
    #[serde(with = "bytes")]
    slots: Vec<u8>,
}

/// To and from an image.
impl Keys {
    /// The seed of its hashes.
    pub(super) fn seed(&self) -> TableSeed {
        self.seed
    }

    /// How long a key stands for one decision.
    pub(super) fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// The marks of time, and the first record within the window.
    pub(super) fn live(&self) -> (Vec<(Time, RecordNumber)>, RecordNumber) {
        (self.marks.iter().copied().collect(), self.first_live)
    }

    /// How many keys are kept of records that are not before the first within the window; `last` is the record taken last.
    pub(super) fn count(&self, last: RecordNumber) -> u64 {
        self.tables.iter().map(|table| self.live_slots(table, last).count() as u64).sum()
    }

    /// The tables, some at a time, without what is out of the window.
    pub(super) fn in_tables(&self, last: RecordNumber) -> impl Iterator<Item = KeyTables> + '_ {
        let mut tables = (0_u32..).zip(&self.tables).peekable();
        core::iter::from_fn(move || {
            let (first, _) = tables.peek()?;
            let mut part = KeyTables { first: *first, lengths: Vec::new(), slots: Vec::new() };
            while part.slots.len() < PART_SLOTS.saturating_mul(8)
                && let Some((_, table)) = tables.next()
            {
                let before = part.slots.len();
                part.slots.extend(self.live_slots(table, last).flat_map(u64::to_le_bytes));
                let length = part.slots.len().saturating_sub(before) / 8;
                part.lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
            }
            Some(part)
        })
    }

    fn live_slots<'a>(&self, table: &'a HashTable<u64>, last: RecordNumber) -> impl Iterator<Item = u64> + use<'a> {
        let first_live = self.first_live;
        table.iter().copied().filter(move |slot| number_of(*slot, last) >= first_live)
    }

    /// Continues with the marks of an image.
    pub(super) fn resume(&mut self, window_ms: u64, marks: Vec<(Time, RecordNumber)>, first_live: RecordNumber) {
        (self.window_ms, self.marks, self.first_live) = (window_ms, marks.into(), first_live);
    }

    /// Takes tables of an image.
    pub(super) fn put_tables(&mut self, part: &KeyTables) -> Result<(), &'static str> {
        let (mut slots, rest) = part.slots.as_chunks::<8>();
        let mut tables = self.tables.iter_mut().skip(usize::try_from(part.first).unwrap_or(usize::MAX));
        for length in &part.lengths {
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            let (of_table, after) = slots.split_at_checked(length).ok_or("keys are missing from their table")?;
            let table = tables.next().ok_or("there is no such table of keys")?;
            *table = HashTable::with_capacity(length);
            for slot in of_table.iter().map(|slot| u64::from_le_bytes(*slot)) {
                table.insert_unique(slot_hash(slot), slot, |slot| slot_hash(*slot));
            }
            slots = after;
        }
        if slots.is_empty() && rest.is_empty() { Ok(()) } else { Err("keys are left over") }
    }

    /// Whether the two keep the same keys within the window.
    pub(super) fn is_like(&self, other: &Self, last: RecordNumber) -> bool {
        let live = |keys: &Self| {
            let tables = keys.tables.iter().map(|table| {
                let mut live: Vec<u64> = keys.live_slots(table, last).collect();
                live.sort_unstable();
                live
            });
            tables.collect::<Vec<_>>()
        };
        (&self.marks, live(self)) == (&other.marks, live(other))
    }
}

/// The number in a slot, at or before `last`.
fn number_of(slot: u64, last: RecordNumber) -> RecordNumber {
    let number = (last & !NUMBER_MASK) | (slot & NUMBER_MASK);
    if number <= last { number } else { number.saturating_sub(1 << NUMBER_BITS) }
}

/// Drops what is out of the window, and makes room for a third more.
fn rebuild(table: &mut HashTable<u64>, last: RecordNumber, first_live: RecordNumber) {
    let is_live = |slot: &u64| number_of(*slot, last) >= first_live;
    let live = table.iter().filter(|slot| is_live(slot)).count();
    let room = live.saturating_add(live / 3).saturating_add(4);
    let before = mem::replace(table, HashTable::with_capacity(room));
    for slot in before.into_iter().filter(is_live) {
        table.insert_unique(slot_hash(slot), slot, |slot| slot_hash(*slot));
    }
}

/// Whether two actors' idempotency keys are in one scope: that of a seller, or of an admin's name as it is compared under the
/// rules of the ledger.
fn same(one: (Grant, &FoldedName), other: (Grant, &FoldedName)) -> bool {
    let seller = |grant| match grant {
        Grant::Seller(seller) => Some(seller),
        Grant::Admin | Grant::Auditor | Grant::Approver { .. } | Grant::Operator => None,
    };
    match (seller(one.0), seller(other.0)) {
        (None, None) => one.1 == other.1,
        (one, other) => one == other,
    }
}
