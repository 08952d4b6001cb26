//! What each phone holds, as its entries make it: 16 bytes a phone, in small tables that grow without a pause.
//!
//! Unit: minor units, charges less reversals. The tables are read in turn, a few phones at a time, to ask a state for the same
//! phones; in which order never reaches a finding.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::state::sharded::TableSeed;
use crate::values::phone::Phone;

/// Number of tables. Source: with ten million phones a table has 2,400, of which a rehash moves all.
const TABLES: usize = 4_096;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(super) struct Phones {
    seed: TableSeed,
    tables: Vec<HashTable<(Phone, i64)>>,
    total: i128,
    /// The next table to ask a state for, and how many phones of it were asked for.
    next: (usize, usize),
}

impl Phones {
    /// Nothing sold.
    pub(super) fn new(seed: TableSeed) -> Self {
        let mut tables = Vec::new();
        tables.resize_with(TABLES, HashTable::new);
        Self { seed, tables, total: 0, next: (0, 0) }
    }

    /// What all phones hold.
    pub(super) fn total(&self) -> i128 {
        self.total
    }

    /// Moves what a phone holds by `amount`; returns what it holds then.
    pub(super) fn add(&mut self, phone: Phone, amount: i64) -> i64 {
        self.total = self.total.saturating_add(i128::from(amount));
        let (seed, hash) = (self.seed, hash(self.seed, phone));
        let Some(table) = self.tables.get_mut(table_of(hash)) else { return 0 };
        let balance = match table.entry(hash, |(of, _)| *of == phone, |(of, _)| self::hash(seed, *of)) {
            Entry::Occupied(entry) => &mut entry.into_mut().1,
            Entry::Vacant(entry) => &mut entry.insert((phone, 0)).into_mut().1,
        };
        *balance = balance.saturating_add(amount);
        *balance
    }

    /// What a phone holds; nothing where nothing was sold to it.
    pub(super) fn balance(&self, phone: Phone) -> i64 {
        let hash = hash(self.seed, phone);
        let found = self.tables.get(table_of(hash)).and_then(|table| table.find(hash, |(of, _)| *of == phone));
        found.map_or(0, |(_, balance)| *balance)
    }

    /// All phones with what they hold, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (Phone, i64)> + '_ {
        self.tables.iter().flat_map(|table| table.iter().copied())
    }

    /// Up to so many phones, all in turn.
    pub(super) fn take_turn(&mut self, phones_max: usize) -> Vec<Phone> {
        let mut phones = Vec::new();
        for _ in 0..TABLES {
            let (at, begin) = self.next;
            let Some(table) = self.tables.get(at) else { break };
            let room = phones_max.saturating_sub(phones.len());
            phones.extend(table.iter().skip(begin).take(room).map(|(phone, _)| *phone));
            let end = begin.saturating_add(room);
            if end < table.len() {
                self.next = (at, end);
                return phones;
            }
            self.next = (at.wrapping_add(1) % TABLES, 0);
        }
        phones
    }
}

fn hash(seed: TableSeed, phone: Phone) -> u64 {
    seed.hash_one(phone.digits())
}

/// Picked by bits that the tables themselves do not use: those use the highest and the lowest.
fn table_of(hash: u64) -> usize {
    let [_, _, high, low, ..] = hash.to_be_bytes();
    usize::from(u16::from_be_bytes([high, low])) % TABLES
}
