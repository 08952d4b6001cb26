//! The fold of all records: balances, keys, verdicts, indices. Never written to disk; always folded again.
//!
//! Unit: minor units, ledger milliseconds. Invariant: seller and phone balances and the treasury add up to zero after
//! each record; a record that does not fit the state stops the node, because the books would be wrong.

mod read;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use uuid::Uuid;

use crate::amount::{Amount, Balance};
use crate::command::{Genesis, Grant, Incarnation, NodeNumber, SellerStatus, Verdict};
use crate::digest::{Digest, chain_entry, chain_record};
use crate::entry::EntryKind;
use crate::folded_name::FoldedName;
use crate::ids::{IdKind, IdSpace, KeyHash, KeyNumber, RecordNumber, Time};
use crate::index::Sharded;
use crate::key_table::{KeyDigest, KeyTable};
use crate::phone::Phone;
use crate::record::{Event, Record, RequestShown};
use crate::text::{IdempotencyKey, Name};

/// Records in a page of the history. Fixed for ever: pages are then identical on all replicas.
pub const PAGE_RECORDS: u64 = 64;

/// The page (from 0) that holds a record.
pub fn page_of(record: RecordNumber) -> u64 {
    record.saturating_sub(1) / PAGE_RECORDS
}

/// A business with prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// Its record number.
    pub number: RecordNumber,
    /// Its id outside.
    pub id: Uuid,
    /// Its name.
    pub name: Name,
    /// Whether it may charge.
    pub status: SellerStatus,
    /// What is left of its credit.
    pub balance: Balance,
    /// When it was taken in.
    pub created_at: Time,
    /// Its entries' records, oldest first.
    pub entries: Vec<EntryRef>,
    /// Its credit requests' records, oldest first.
    pub requests: Vec<RecordNumber>,
}

/// A record that made an entry, and of which kind, in 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef(u64);

impl EntryRef {
    fn new(record: RecordNumber, kind: EntryKind) -> Self {
        Self((record << 2) | ((kind as u64) & 0b11))
    }

    /// The record's number.
    pub fn record(self) -> RecordNumber {
        self.0 >> 2
    }

    /// Whether the entry is a charge.
    pub fn is_charge(self) -> bool {
        self.0 & 0b11 == EntryKind::Charge as u64
    }
}

/// A key of the API, without its secret. Revoked ones stay, for their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its record number.
    pub number: KeyNumber,
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub grant: Grant,
    /// The hash of its secret.
    pub hash: KeyHash,
    /// When it was made.
    pub created_at: Time,
    /// The record that revoked it.
    pub revoked_by: Option<RecordNumber>,
}

/// What was sold to a phone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhoneAccount {
    /// Charges less reversals.
    pub balance: Balance,
    /// When it was last charged.
    pub last_charge_at: Time,
    /// The records of its charges, oldest first.
    pub charges: Vec<RecordNumber>,
}

/// The reversal of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reversal {
    /// Its record.
    pub record: RecordNumber,
    /// Its journal entry.
    pub entry: u64,
}

/// What holds just before the first record of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMark {
    /// When that first record was decided.
    pub time: Time,
    /// Entries made before it.
    pub entries: u64,
    /// The published chain before it.
    pub entry_digest: Digest,
    /// The chain over all records before it: by it two members find out whether one's history begins the other's.
    pub record_digest: Digest,
}

/// Sums over all accounts, kept with each record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The issuer's account.
    pub treasury: i128,
    /// All sellers' balances.
    pub sellers: i128,
    /// All phones' balances.
    pub phones: i128,
}

/// The ledger as of one record.
#[derive(Clone)]
pub struct State {
    genesis: Option<Box<Genesis>>,
    ids: IdSpace,
    time: Time,
    records: u64,
    entries: u64,
    record_digest: Digest,
    entry_digest: Digest,
    totals: Totals,
    sellers: BTreeMap<RecordNumber, Seller>,
    api_keys: BTreeMap<KeyNumber, ApiKey>,
    api_key_by_hash: BTreeMap<KeyHash, KeyNumber>,
    /// How many active keys have a name: one, but for what older rules let in.
    active_key_names: BTreeMap<FoldedName, u32>,
    active_admin_keys: u64,
    nodes: BTreeMap<NodeNumber, Incarnation>,
    requests: Vec<RecordNumber>,
    pending: BTreeSet<RecordNumber>,
    verdicts: Sharded<(RecordNumber, Verdict)>,
    reversals: Sharded<Reversal>,
    phones: Sharded<PhoneAccount>,
    keys: KeyTable,
    pages: Vec<PageMark>,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Before the first record.
    pub fn new() -> Self {
        Self {
            genesis: None,
            ids: IdSpace::default(),
            time: Time::default(),
            records: 0,
            entries: 0,
            record_digest: Digest::ZERO,
            entry_digest: Digest::ZERO,
            totals: Totals::default(),
            sellers: BTreeMap::new(),
            api_keys: BTreeMap::new(),
            api_key_by_hash: BTreeMap::new(),
            active_key_names: BTreeMap::new(),
            active_admin_keys: 0,
            nodes: BTreeMap::new(),
            requests: Vec::new(),
            pending: BTreeSet::new(),
            verdicts: Sharded::default(),
            reversals: Sharded::default(),
            phones: Sharded::default(),
            keys: KeyTable::new(0, 0),
            pages: Vec::new(),
        }
    }

    /// The state one record further.
    ///
    /// # Panics
    /// Where the record does not fit this state: the history is damaged, and going on would corrupt the books.
    pub fn apply(&mut self, record: &Record) {
        assert_eq!(record.number, self.records.saturating_add(1), "records come in order, without gaps");
        assert!(record.time >= self.time, "ledger time only grows");
        if page_of(record.number) as usize == self.pages.len() {
            self.pages.push(PageMark {
                time: record.time,
                entries: self.entries,
                entry_digest: self.entry_digest,
                record_digest: self.record_digest,
            });
        }
        self.records = record.number;
        self.time = record.time;
        self.record_digest = chain_record(&self.record_digest, record);
        self.apply_event(record);
        if let Some(key) = &record.idempotency_key {
            self.remember(record, key);
        }
        self.chain_entry_of(record);
    }

    fn apply_event(&mut self, record: &Record) {
        match &record.event {
            Event::Genesis(genesis) => self.begin(record, genesis),
            Event::SellerCreated { name } => self.take_in(record, name),
            Event::SellerStatusSet { seller, status, .. } => self.seller_mut(*seller).status = *status,
            Event::KeyCreated { name, grant, hash } => self.add_api_key(record, name.clone(), *grant, *hash),
            Event::KeyRevoked { key } => self.revoke(record, *key),
            Event::CreditRequested { seller, .. } => {
                self.requests.push(record.number);
                self.pending.insert(record.number);
                self.seller_mut(*seller).requests.push(record.number);
            }
            Event::CreditApproved { request, balance, .. } => self.approve(record, request, *balance),
            Event::CreditRejected { request, .. } => self.conclude(record, request.number, Verdict::Rejected),
            Event::Adjusted { seller, amount, balance, .. } => {
                let after = self.seller_mut(*seller).balance.adjusted(*amount);
                assert_eq!(after, Ok(*balance), "an adjustment moves exactly its amount");
                self.move_credit(record, *seller, EntryKind::Adjustment, *balance);
                self.totals.treasury = self.totals.treasury.saturating_sub(i128::from(amount.minor()));
            }
            Event::Charged { seller, phone, amount, balance, .. } => {
                self.charge(record, *seller, *phone, *amount, *balance);
            }
            Event::Reversed { charge, seller, phone, amount, entry, balance, .. } => {
                let reversal = Reversal { record: record.number, entry: *entry };
                let before = self.reversals.insert(*charge, reversal);
                assert!(before.is_none(), "a charge is reversed at most once");
                let after = self.seller_mut(*seller).balance.credited(*amount);
                assert_eq!(after, Some(*balance), "a reversal moves exactly the charge's amount");
                self.move_credit(record, *seller, EntryKind::Reversal, *balance);
                self.move_phone(*phone, |account| account.balance.charged(*amount));
                self.totals.phones = self.totals.phones.saturating_add(i128::from(amount.minus()));
            }
            Event::Refused { .. } => {}
            Event::NodeRegistered { node, incarnation } => {
                self.nodes.insert(*node, *incarnation);
            }
        }
        let sum = self.totals.treasury.saturating_add(self.totals.sellers).saturating_add(self.totals.phones);
        assert_eq!(sum, 0, "all accounts add up to zero");
    }

    fn begin(&mut self, record: &Record, genesis: &Genesis) {
        assert!(self.genesis.is_none(), "a ledger begins once");
        self.ids = IdSpace::new(genesis.cluster);
        self.keys = KeyTable::new(genesis.key_window_ms, genesis.keys_max);
        self.genesis = Some(Box::new(genesis.clone()));
        if let Ok(name) = Name::new("admin") {
            self.add_api_key(record, name, Grant::Admin, genesis.admin_key);
        }
    }

    fn take_in(&mut self, record: &Record, name: &Name) {
        let seller = Seller {
            number: record.number,
            id: self.ids.uuid(IdKind::Seller, record.number),
            name: name.clone(),
            status: SellerStatus::Active,
            balance: Balance::ZERO,
            created_at: record.time,
            entries: Vec::new(),
            requests: Vec::new(),
        };
        self.sellers.insert(record.number, seller);
    }

    fn add_api_key(&mut self, record: &Record, name: Name, grant: Grant, hash: KeyHash) {
        let of_this_name = self.active_key_names.entry(self.folded(&name)).or_default();
        *of_this_name = of_this_name.saturating_add(1);
        let hash_taken = self.api_key_by_hash.insert(hash, record.number);
        assert!(hash_taken.is_none(), "a key's secret is drawn once");
        if grant == Grant::Admin {
            self.active_admin_keys = self.active_admin_keys.saturating_add(1);
        }
        let key = ApiKey { number: record.number, name, grant, hash, created_at: record.time, revoked_by: None };
        self.api_keys.insert(record.number, key);
    }

    fn revoke(&mut self, record: &Record, number: KeyNumber) {
        let Some(key) = self.api_keys.get_mut(&number) else { panic!("a revoked key was made before") };
        assert!(key.revoked_by.is_none(), "a key is revoked once");
        key.revoked_by = Some(record.number);
        if key.grant == Grant::Admin {
            self.active_admin_keys = self.active_admin_keys.saturating_sub(1);
        }
        let name = key.name.clone();
        self.release_name(&name);
    }

    /// A key of this name is active no more.
    fn release_name(&mut self, name: &Name) {
        let name = self.folded(name);
        match self.active_key_names.get_mut(&name) {
            Some(1) => drop(self.active_key_names.remove(&name)),
            Some(of_this_name) => *of_this_name = of_this_name.saturating_sub(1),
            None => panic!("an active key's name is known"),
        }
    }

    fn approve(&mut self, record: &Record, request: &RequestShown, balance: Balance) {
        self.conclude(record, request.number, Verdict::Approved);
        let after = self.seller_mut(request.seller).balance.credited(request.amount);
        assert_eq!(after, Some(balance), "an approval allocates exactly the amount asked");
        self.move_credit(record, request.seller, EntryKind::Credit, balance);
        self.totals.treasury = self.totals.treasury.saturating_add(i128::from(request.amount.minus()));
    }

    fn conclude(&mut self, record: &Record, request: RecordNumber, verdict: Verdict) {
        assert!(self.pending.remove(&request), "a request has one verdict");
        self.verdicts.insert(request, (record.number, verdict));
    }

    fn charge(&mut self, record: &Record, seller: RecordNumber, phone: Phone, amount: Amount, balance: Balance) {
        let after = self.seller_mut(seller).balance.charged(amount);
        assert_eq!(after, Some(balance), "a charge moves exactly its amount");
        self.move_credit(record, seller, EntryKind::Charge, balance);
        self.move_phone(phone, |account| {
            account.charges.push(record.number);
            account.last_charge_at = record.time;
            account.balance.credited(amount)
        });
        self.totals.phones = self.totals.phones.saturating_add(i128::from(amount.plus()));
    }

    /// Sets a seller's balance, and keeps the sum of all.
    fn move_credit(&mut self, record: &Record, seller: RecordNumber, kind: EntryKind, balance: Balance) {
        let account = self.seller_mut(seller);
        let moved = balance.signed().saturating_sub(account.balance.signed());
        account.balance = balance;
        account.entries.push(EntryRef::new(record.number, kind));
        self.totals.sellers = self.totals.sellers.saturating_add(i128::from(moved));
    }

    fn move_phone(&mut self, phone: Phone, change: impl FnOnce(&mut PhoneAccount) -> Option<Balance>) {
        let account = self.phones.get_or_default(phone.digits());
        let Some(account) = account else { panic!("every phone has a table") };
        let Some(balance) = change(account) else { panic!("a phone's balance was checked before") };
        account.balance = balance;
    }

    fn seller_mut(&mut self, number: RecordNumber) -> &mut Seller {
        match self.sellers.get_mut(&number) {
            Some(seller) => seller,
            None => panic!("a seller was taken in before: record {number}"),
        }
    }

    fn remember(&mut self, record: &Record, key: &IdempotencyKey) {
        let Some(digest) = self.key_digest(record.actor, key) else {
            panic!("only an API key's command has an idempotency key")
        };
        self.keys.insert(digest, self.seller_of_key(record.actor), record.number, record.time);
    }

    /// Where a key of this actor is remembered; `None` for an actor without an API key.
    fn key_digest(&self, actor: KeyNumber, key: &IdempotencyKey) -> Option<KeyDigest> {
        let cluster = self.genesis.as_ref()?.cluster;
        let acting = self.api_keys.get(&actor)?;
        Some(KeyDigest::of(cluster, acting.grant, &acting.name, key))
    }

    fn chain_entry_of(&mut self, record: &Record) {
        let Some(entry) = self.entry(record) else { return };
        assert_eq!(entry.number, self.entries.saturating_add(1), "entries are numbered without gaps");
        let digest = chain_entry(&self.entry_digest, &entry);
        self.entries = entry.number;
        self.entry_digest = digest;
    }
}
