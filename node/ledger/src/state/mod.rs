//! The ledger as of one record: balances, API keys, pending requests and idempotency keys.
//!
//! Its size goes by sellers, phones and live idempotency keys. Nothing in it is for a record, a charge or a request that was
//! decided: whoever keeps the records has the lists of a seller's entries and a phone's charges, and knows what concluded what.
//! Changed by [`State::apply`] alone, through the functions of `change`, which assert what would corrupt the books.
//! Invariant: a state is a function of the records applied; it holds nothing else but the seed of its tables.

pub mod api_key;
mod change;
pub mod genesis;
pub mod idempotency_table;
pub mod image;
pub mod node;
mod ordered;
pub mod policy;
mod read;
pub mod recovery;
pub mod seller;
pub mod sharded;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use self::api_key::ApiKey;
use self::genesis::Genesis;
use self::idempotency_table::IdempotencyTable;
use self::node::Node;
pub use self::node::{Incarnation, NodeNumber};
use self::ordered::Ordered;
use self::policy::Policy;
use self::recovery::Recovery;
use self::seller::Seller;
use self::sharded::{Sharded, TableSeed};
use crate::digest::{EntryChain, ItemBytes, RecordChain};
use crate::page::PageMark;
use crate::values::amount::Balance;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{ApiKeyHash, ApiKeyNumber, IdSpace, RecordNumber, Time};

/// The end of a credit request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The credit is allocated.
    Approved,
    /// It is not.
    Rejected,
}

impl Verdict {
    /// What a record's digest covers of it.
    pub(crate) fn write(self, bytes: &mut ItemBytes<'_>) {
        bytes.u8(match self {
            Self::Approved => 1,
            Self::Rejected => 2,
        });
    }
}

/// A phone's account. Its charges are a chain: each names the one before it, and the last one is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneAccount {
    /// Charges less reversals.
    pub balance: Balance,
    /// How many charges it had, reversed ones too.
    pub charges: u64,
    /// The record of the last one; 0 before the first.
    pub last_charge: RecordNumber,
}

/// How a charge or a credit request was concluded, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concluded {
    /// A credit request by its verdict.
    Decided(Verdict),
    /// A charge by its reversal.
    Reversed,
}

/// What concluded a charge or a credit request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    /// The record of the reversal or the verdict.
    pub record: RecordNumber,
    /// Which of them it is.
    pub how: Concluded,
}

/// Sums over all accounts, kept with each record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The issuer's account.
    pub treasury: i128,
    /// All sellers' balances.
    pub sellers: i128,
    /// All phones' balances.
    pub phones: i128,
}

impl Totals {
    /// All of them together: zero, or the books are wrong.
    pub fn sum(&self) -> i128 {
        self.treasury.saturating_add(self.sellers).saturating_add(self.phones)
    }
}

/// The ledger as of one record. A copy shares what does not change; it costs no more than a few milliseconds.
#[derive(Clone)]
pub struct State {
    genesis: Option<Box<Genesis>>,
    rules: u32,
    ids: IdSpace,
    time: Time,
    records: u64,
    entries: u64,
    /// Records with an idempotency key.
    keyed: u64,
    record_chain: RecordChain,
    entry_chain: EntryChain,
    /// What stands before the page of the last record.
    page: PageMark,
    totals: Totals,
    sellers: Ordered<Seller>,
    api_keys: Ordered<ApiKey>,
    api_key_by_hash: Arc<BTreeMap<ApiKeyHash, ApiKeyNumber>>,
    /// How many active keys have a name: one, or more where older rules allowed it.
    active_key_names: Arc<BTreeMap<FoldedName, u32>>,
    /// Those that have no end.
    active_admin_keys: u64,
    /// The keys that have an end which is still to come, by it.
    expiring: Arc<BTreeSet<(Time, ApiKeyNumber)>>,
    policy: Policy,
    /// All nodes that a record names, those that were removed too: their numbers are not given again.
    nodes: BTreeMap<NodeNumber, Node>,
    recovery: Recovery,
    /// The credit requests without a verdict, each with its seller.
    pending: BTreeMap<RecordNumber, RecordNumber>,
    /// The same by seller.
    pending_of_sellers: BTreeSet<(RecordNumber, RecordNumber)>,
    phones: Sharded<PhoneAccount>,
    keys: IdempotencyTable,
}

impl State {
    /// Before the first record. Its tables are hashed under `seed`, which no caller may know.
    pub fn new(seed: TableSeed) -> Self {
        Self {
            genesis: None,
            rules: 0,
            ids: IdSpace::default(),
            time: Time::default(),
            records: 0,
            entries: 0,
            keyed: 0,
            record_chain: RecordChain::default(),
            entry_chain: EntryChain::default(),
            page: PageMark::default(),
            totals: Totals::default(),
            sellers: Ordered::default(),
            api_keys: Ordered::default(),
            api_key_by_hash: Arc::default(),
            active_key_names: Arc::default(),
            active_admin_keys: 0,
            expiring: Arc::default(),
            policy: Policy::default(),
            nodes: BTreeMap::new(),
            recovery: Recovery::default(),
            pending: BTreeMap::new(),
            pending_of_sellers: BTreeSet::new(),
            phones: Sharded::new(seed),
            keys: IdempotencyTable::new(seed, 0, 0),
        }
    }
}
