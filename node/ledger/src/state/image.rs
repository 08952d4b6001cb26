//! A state as an image holds it: parts of bounded size, from which the same state is put together again.
//!
//! An image is a shortcut of one node, never the truth: the records are, and a replay of all of them gives the same state.
//! So nothing of it is sent, compared or covered by a digest, and an image of another form is thrown away.
//!
//! Order: [`Part::Head`] first, [`Part::Counts`] before [`Part::Keys`] and [`Part::Shares`]; shares from the oldest on.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::api_key::ApiKey;
use super::genesis::Genesis;
use super::idempotency_table::{Counts, IdempotencyTable, SellerKeys, Slots};
use super::node::Node;
use super::policy::Policy;
use super::read::actor_name;
use super::recovery::Recovery;
use super::seller::Seller;
use super::sharded::{SHARDS, TableSeed};
use super::{NodeNumber, PhoneAccount, State, Totals};
use crate::digest::{Digest, EntryChain, RecordChain};
use crate::page::{PageMark, page_of};
use crate::record::Record;
use crate::values::ids::{ApiKeyNumber, IdSpace, RecordNumber, Time};

/// The form of the parts. Raised with every change of them but a new part at the end of [`Part`], which an older image does
/// without; an image of another one is not read, and all records are replayed, which takes hours at a great age.
pub const IMAGE_VERSION: u32 = 3;

/// Items in a part that is a list of them.
const PART_ITEMS: usize = 1_024;

/// A part of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// What there is once.
    Head(Box<StateHead>),
    /// Sellers, in the order of their numbers.
    Sellers(Vec<Seller>),
    /// API keys, in the order of their numbers.
    ApiKeys(Vec<ApiKey>),
    /// Nodes, by number.
    Nodes(Vec<(NodeNumber, Node)>),
    /// Pending credit requests, each with its seller.
    Pending(Vec<(RecordNumber, RecordNumber)>),
    /// Phones by their digits, in no order.
    Phones(Vec<(u64, PhoneAccount)>),
    /// How many idempotency keys there are, by time.
    Counts(Counts),
    /// Idempotency keys.
    Keys(Slots),
    /// Who inserted idempotency keys in one bucket of time.
    Shares(SellerKeys),
    /// The ends of API keys. Before the keys.
    Ends(Vec<(ApiKeyNumber, Time)>),
    /// The policy of the back office.
    Policy(Policy),
}

/// What a state has once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHead {
    /// The seed under which the tables in the other parts are hashed.
    pub seed: TableSeed,
    /// What the genesis fixed; `None` before the first record.
    pub genesis: Option<Genesis>,
    /// The version of the rules.
    pub rules: u32,
    /// The epochs, the hold and the last verified backup.
    pub(crate) recovery: Recovery,
    /// The last record's time.
    pub time: Time,
    /// How many records were applied.
    pub records: u64,
    /// How many entries the journal has.
    pub entries: u64,
    /// How many records have an idempotency key.
    pub keyed: u64,
    /// What stands before the page of the last record.
    pub page: PageMark,
    /// The chain over all records.
    pub record_digest: Digest,
    /// The published chain over all entries.
    pub entry_digest: Digest,
    /// Sums over all accounts.
    pub totals: Totals,
    /// How many phones there are.
    pub phones: u64,
    /// How many sellers there are.
    pub sellers: u64,
}

/// Why parts do not give a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageError(pub &'static str);

impl core::fmt::Display for ImageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0)
    }
}

impl State {
    /// The state in parts, made one after the other.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let head = core::iter::once(Part::Head(Box::new(self.head())));
        let sellers = pieces(self.sellers.after(0).map(|(_, seller)| seller.clone())).map(Part::Sellers);
        // Where there is none of these, builds that do not know them read the image too.
        let policy = (self.policy != Policy::default()).then_some(Part::Policy(self.policy));
        let ends = self.api_keys.after(0).filter_map(|(number, key)| Some((*number, key.expires_at?)));
        let ends = pieces(ends).map(Part::Ends);
        let api_keys = pieces(self.api_keys.after(0).map(|(_, key)| key.clone())).map(Part::ApiKeys);
        let nodes = pieces(self.nodes().map(|(number, node)| (number, node.clone()))).map(Part::Nodes);
        let pending = pieces(self.pending.iter().map(|(request, seller)| (*request, *seller))).map(Part::Pending);
        let phones = (0..SHARDS).map(|shard| Part::Phones(self.phones.shard(shard).copied().collect()));
        let counts = core::iter::once_with(|| Part::Counts(self.keys.counts()));
        let keys = self.keys.slots().map(Part::Keys);
        let shares = self.keys.shares_in_order().map(Part::Shares);
        head.chain(policy)
            .chain(sellers)
            .chain(ends)
            .chain(api_keys)
            .chain(nodes)
            .chain(pending)
            .chain(phones)
            .chain(counts)
            .chain(keys)
            .chain(shares)
    }

    fn head(&self) -> StateHead {
        StateHead {
            seed: self.keys.seed(),
            genesis: self.genesis().cloned(),
            rules: self.rules,
            recovery: self.recovery.clone(),
            time: self.time,
            records: self.records,
            entries: self.entries,
            keyed: self.keyed,
            page: self.page,
            record_digest: self.digest(),
            entry_digest: self.entry_digest(),
            totals: self.totals,
            phones: self.phones.len(),
            sellers: self.sellers.len(),
        }
    }

    /// What differs between two states of the same records and table seed; `None` where nothing does. For tests: it looks at
    /// every account and key.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let same = |is_same: bool, what: &'static str| (!is_same).then_some(what);
        let alike = |own: &Self, other: &Self| {
            let phones = (0..SHARDS).flat_map(|shard| own.phones.shard(shard));
            phones.into_iter().all(|(digits, account)| other.phones.get(*digits) == Some(account))
        };
        same(self.head() == other.head(), "the head")
            .or_else(|| same(self.sellers.after(0).eq(other.sellers.after(0)), "a seller"))
            .or_else(|| same(self.api_keys.after(0).eq(other.api_keys.after(0)), "an API key"))
            .or_else(|| same(self.api_key_by_hash == other.api_key_by_hash, "the hashes of API keys"))
            .or_else(|| same(self.active_key_names == other.active_key_names, "the names of API keys"))
            .or_else(|| same(self.active_admin_keys == other.active_admin_keys, "the number of admins"))
            .or_else(|| same(self.expiring == other.expiring, "the ends of API keys"))
            .or_else(|| same(self.policy == other.policy, "the policy"))
            .or_else(|| same(self.nodes == other.nodes, "a node"))
            .or_else(|| same(self.pending == other.pending, "a pending request"))
            .or_else(|| same(self.pending_of_sellers == other.pending_of_sellers, "a seller's pending request"))
            .or_else(|| same(alike(self, other), "a phone"))
            .or_else(|| same(self.keys.is_like(&other.keys, self.time), "the idempotency keys"))
    }
}

/// The items of an iterator, [`PART_ITEMS`] at a time.
pub(crate) fn pieces<T>(mut items: impl Iterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    core::iter::from_fn(move || {
        let piece: Vec<T> = items.by_ref().take(PART_ITEMS).collect();
        (!piece.is_empty()).then_some(piece)
    })
}

/// Puts parts together again.
#[derive(Clone)]
pub struct StateBuilder {
    state: State,
    head: StateHead,
    /// The ends of API keys that are still to come.
    ends: BTreeMap<ApiKeyNumber, Time>,
}

impl core::fmt::Debug for StateBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StateBuilder({:?})", self.head)
    }
}

impl StateBuilder {
    /// From the first part.
    ///
    /// # Errors
    /// Where that is another one.
    pub fn new(first: Part) -> Result<Self, ImageError> {
        let Part::Head(head) = first else { return Err(ImageError("an image begins with its head")) };
        let mut state = State::new(head.seed);
        if let Some(genesis) = &head.genesis {
            state.ids = IdSpace::new(genesis.ledger, genesis.epoch);
            state.keys = IdempotencyTable::new(head.seed, genesis.key_window_ms, genesis.keys_max);
            state.genesis = Some(Box::new(genesis.clone()));
            for epoch in &head.recovery.epochs {
                state.ids.begin_epoch(genesis.ledger, epoch.number, epoch.first);
            }
            state.recovery = head.recovery.clone();
        }
        (state.time, state.records, state.entries) = (head.time, head.records, head.entries);
        (state.rules, state.keyed, state.page, state.totals) = (head.rules, head.keyed, head.page, head.totals);
        Ok(Self { state, head: *head, ends: BTreeMap::new() })
    }

    /// The next part.
    ///
    /// # Errors
    /// Where it does not fit those before.
    pub fn add(&mut self, part: Part) -> Result<(), ImageError> {
        let state = &mut self.state;
        match part {
            Part::Head(_) => return Err(ImageError("an image has one head")),
            Part::Sellers(sellers) => sellers.into_iter().for_each(|seller| state.sellers.push(seller.number, seller)),
            Part::Ends(ends) => self.ends.extend(ends),
            Part::ApiKeys(keys) => {
                for key in keys {
                    let expires_at = self.ends.remove(&key.number);
                    state.put_api_key(ApiKey { expires_at, ..key });
                }
            }
            Part::Nodes(nodes) => state.nodes.extend(nodes),
            Part::Pending(pending) => {
                state.pending_of_sellers.extend(pending.iter().map(|(request, seller)| (*seller, *request)));
                state.pending.extend(pending);
            }
            Part::Phones(phones) => {
                for (digits, account) in phones {
                    state.phones.insert(digits, account);
                }
            }
            Part::Counts(counts) => state.keys.set_counts(counts),
            Part::Keys(slots) => state.keys.set_slots(&slots).map_err(ImageError)?,
            Part::Shares(shares) => state.keys.add_shares(shares),
            Part::Policy(policy) => state.policy = policy,
        }
        Ok(())
    }

    /// How many records the state has.
    pub fn records(&self) -> u64 {
        self.head.records
    }

    /// The state. `open` are the records of the last record's page up to that one, of which both chains have to be made again.
    ///
    /// # Errors
    /// Where parts are missing, the balances in them do not have the sums of the head, or the records are others.
    pub fn finish<'a>(self, open: impl IntoIterator<Item = &'a Record>) -> Result<State, ImageError> {
        let Self { mut state, head, .. } = self;
        state.resume_chains(open);
        if (state.digest(), state.entry_digest()) != (head.record_digest, head.entry_digest) {
            return Err(ImageError("the records of its page are others"));
        }
        if (state.sellers.len(), state.phones.len()) != (head.sellers, head.phones) {
            return Err(ImageError("sellers or phones are missing"));
        }
        let sellers: i128 = state.sellers.after(0).map(|(_, seller)| i128::from(seller.balance.signed())).sum();
        let phones = (0..SHARDS).flat_map(|shard| state.phones.shard(shard));
        let phones: i128 = phones.map(|(_, account)| i128::from(account.balance.signed())).sum();
        if (sellers, phones) != (head.totals.sellers, head.totals.phones) {
            return Err(ImageError("balances do not add up to their sums"));
        }
        Ok(state)
    }
}

impl State {
    /// Both chains in the middle of a page: from what stands before it, over its records.
    fn resume_chains<'a>(&mut self, open: impl IntoIterator<Item = &'a Record>) {
        let (page, ledger) = (page_of(self.page.first), self.ledger_id());
        self.record_chain = RecordChain::before_page(page, self.page.record_digest);
        self.entry_chain = EntryChain::before_page(page, self.page.entry_digest);
        for record in open {
            self.record_chain.push(ledger, record);
            if let Some(entry) = record.entry(&self.ids, actor_name(&self.api_keys, record.actor)) {
                self.entry_chain.push(ledger, &entry);
            }
        }
    }

    /// An API key as it was, with what is found by it.
    fn put_api_key(&mut self, key: ApiKey) {
        Arc::make_mut(&mut self.api_key_by_hash).insert(key.hash, key.number);
        self.activate(&key);
        self.api_keys.push(key.number, key);
    }
}
