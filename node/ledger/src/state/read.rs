//! What can be read of a state. Look-ups by number; lists in order of their numbers, oldest first.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use core::hint::black_box;
use core::ops::Bound;

use uuid::Uuid;

use super::api_key::{ApiKey, Grant, IdempotencyScope};
use super::genesis::Genesis;
use super::idempotency_table::{IdempotencyHash, IdempotencyShares};
use super::node::{Node, NodeAddresses, NodeMembership};
use super::ordered::Ordered;
use super::policy::Policy;
use super::recovery::{Epoch, Hold, VerifiedBackup};
use super::seller::Seller;
use super::sharded::TableSeed;
use super::{Incarnation, NodeNumber, PhoneAccount, State, Totals};
use crate::digest::Digest;
use crate::page::PageMark;
use crate::record::Record;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{ApiKeyHash, ApiKeyNumber, IdSpace, RecordNumber, SYSTEM_ACTOR, SYSTEM_NAME, Time};
use crate::values::phone::Phone;
use crate::values::text::{IdempotencyKey, Name};

impl State {
    /// What the genesis fixed; `None` before the first record.
    pub fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_deref()
    }

    /// The version of the rules by which the next command is decided: that of the genesis, raised since; 0 before the first
    /// record.
    pub fn rules(&self) -> u32 {
        self.rules
    }

    /// The ids of this ledger.
    pub fn ids(&self) -> &IdSpace {
        &self.ids
    }

    /// The epoch: 1, and one more for each restore; 0 before the first record.
    pub fn epoch(&self) -> u32 {
        let first = || self.genesis().map_or(0, |genesis| genesis.epoch);
        self.recovery.epochs.last().map_or_else(first, |epoch| epoch.number)
    }

    /// The epochs after the first one, oldest first.
    pub fn later_epochs(&self) -> &[Epoch] {
        &self.recovery.epochs
    }

    /// Whether this was the id of a cluster that served the ledger.
    pub fn had_cluster(&self, cluster: Uuid) -> bool {
        cluster == self.ledger_id() || self.recovery.epochs.iter().any(|epoch| epoch.cluster == cluster)
    }

    /// Whether commands are taken.
    pub fn hold(&self) -> Hold {
        self.recovery.hold
    }

    /// Whether commands are refused until an admin opens the ledger.
    pub fn is_on_hold(&self) -> bool {
        matches!(self.recovery.hold, Hold::Since { .. })
    }

    /// The backup that was verified last.
    pub fn last_backup(&self) -> Option<VerifiedBackup> {
        self.recovery.last_backup
    }

    /// The last record's time.
    pub fn time(&self) -> Time {
        self.time
    }

    /// The time of a record that is decided at `stamp`: it only grows, and not beyond [`Time::LAST`].
    pub fn time_at(&self, stamp: Time) -> Time {
        self.time.max(stamp.min(Time::LAST))
    }

    /// The seed of its tables.
    pub fn table_seed(&self) -> TableSeed {
        self.keys.seed()
    }

    /// How many records were applied.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many entries the journal has.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The id that the chains begin with; nil before the first record.
    pub fn ledger_id(&self) -> Uuid {
        self.genesis.as_ref().map_or(Uuid::nil(), |genesis| genesis.ledger)
    }

    /// What stands before the page of the last record; before the first record, of no ledger.
    pub fn page_mark(&self) -> PageMark {
        PageMark { ledger: self.ledger_id(), ..self.page }
    }

    /// The chain over all records: equal exactly where two states are. Hashed when it is asked for.
    pub fn digest(&self) -> Digest {
        self.record_chain.digest()
    }

    /// The published chain over all entries. Hashed when it is asked for.
    pub fn entry_digest(&self) -> Digest {
        self.entry_chain.digest()
    }

    /// The sums over all accounts.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// A seller by its record number.
    pub fn seller(&self, number: RecordNumber) -> Option<&Seller> {
        self.sellers.get(number)
    }

    /// The sellers after `number`, oldest first; from 0 for all.
    pub fn sellers_after(&self, number: RecordNumber) -> impl Iterator<Item = (&RecordNumber, &Seller)> {
        self.sellers.after(number)
    }

    /// How many sellers there are.
    pub fn seller_count(&self) -> u64 {
        self.sellers.len()
    }

    /// An API key by its record number, revoked or not.
    pub fn api_key(&self, number: ApiKeyNumber) -> Option<&ApiKey> {
        self.api_keys.get(number)
    }

    /// An API key by its secret's hash, revoked or not.
    pub fn api_key_by_hash(&self, hash: &ApiKeyHash) -> Option<&ApiKey> {
        self.api_keys.get(*self.api_key_by_hash.get(hash)?)
    }

    /// The API keys after `number`, oldest first, revoked ones too; from 0 for all.
    pub fn api_keys_after(&self, number: ApiKeyNumber) -> impl Iterator<Item = (&ApiKeyNumber, &ApiKey)> {
        self.api_keys.after(number)
    }

    /// The name of the key that acted; the cluster's own commands are by `etebar`.
    pub fn actor_name(&self, actor: ApiKeyNumber) -> &str {
        actor_name(&self.api_keys, actor)
    }

    /// Whether a key of this name is valid at `now`, which is not before the last record's time.
    pub(crate) fn is_name_active(&self, name: &Name, now: Time) -> bool {
        let name = self.compared(name);
        let held = self.active_key_names.get(&name).copied().unwrap_or(0);
        // Those whose time has come since the last record.
        let expired = self.expiring.range(..=(now, ApiKeyNumber::MAX)).filter_map(|(_, key)| self.api_keys.get(*key));
        let expired = expired.filter(|key| self.compared(&key.name) == name).count();
        usize::try_from(held).is_ok_and(|held| held > expired)
    }

    /// The form of a name that is compared under the rules of this ledger.
    pub(super) fn compared(&self, name: &Name) -> FoldedName {
        FoldedName::under(self.rules, name)
    }

    /// Whether without this key no admin key without an end would be left.
    pub(crate) fn is_last_admin(&self, key: &ApiKey) -> bool {
        key.is_lasting_admin() && self.active_admin_keys <= 1
    }

    /// The policy of the back office.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The data directory that is known under a node's number.
    pub fn incarnation(&self, node: NodeNumber) -> Option<Incarnation> {
        self.nodes.get(&node)?.incarnation
    }

    /// A node that a record names.
    pub fn node(&self, number: NodeNumber) -> Option<&Node> {
        self.nodes.get(&number)
    }

    /// All nodes that a record names, those that were removed too, by number.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeNumber, &Node)> + '_ {
        self.nodes.iter().map(|(number, node)| (*number, node))
    }

    /// The highest number of a node that a record names; 0 before the first.
    pub fn last_node(&self) -> NodeNumber {
        self.nodes.keys().next_back().copied().unwrap_or(0)
    }

    /// The node that was added under one of these addresses, and not removed.
    pub(crate) fn node_at(&self, addresses: &NodeAddresses) -> Option<(NodeNumber, &Node)> {
        let is_there = |node: &Node| node.addresses.as_ref().is_some_and(|there| there.overlaps(addresses));
        self.nodes().find(|(_, node)| node.membership != NodeMembership::Removed && is_there(node))
    }

    /// The records of the pending credit requests after `number`, oldest first.
    pub fn pending_after(&self, number: RecordNumber) -> impl Iterator<Item = RecordNumber> + '_ {
        self.pending.range((Bound::Excluded(number), Bound::Unbounded)).map(|(request, _)| *request)
    }

    /// Those of one seller.
    pub fn pending_of_seller_after(
        &self,
        seller: RecordNumber,
        number: RecordNumber,
    ) -> impl Iterator<Item = RecordNumber> + '_ {
        let range = (Bound::Excluded((seller, number)), Bound::Included((seller, RecordNumber::MAX)));
        self.pending_of_sellers.range(range).map(|(_, request)| *request)
    }

    /// Whether the record is a credit request that has no verdict yet.
    pub fn is_pending(&self, request: RecordNumber) -> bool {
        self.pending.contains_key(&request)
    }

    /// A phone's account; `None` where nothing was sold to it.
    pub fn phone(&self, phone: Phone) -> Option<&PhoneAccount> {
        self.phones.get(phone.digits())
    }

    /// How many idempotency keys are within their window as of the last record.
    pub fn keys_held(&self) -> u64 {
        self.keys.in_use(self.time)
    }

    /// The most of them that one seller holds. Counted by parts of the window: it may be too high for a 64th of it.
    pub fn keys_fullest_share(&self) -> u64 {
        self.keys.fullest()
    }

    /// The records that may be the decision under a seller's key, within the window at `now`. It is the one that holds the
    /// key and is not older than [`State::remembered_since`].
    pub fn seller_candidates(
        &self,
        seller: RecordNumber,
        key: &IdempotencyKey,
        now: Time,
    ) -> impl Iterator<Item = RecordNumber> {
        self.candidates(IdempotencyScope::Seller(seller), key, now)
    }

    /// The earliest decision that is remembered at `now`.
    pub fn remembered_since(&self, now: Time) -> Time {
        self.keys.remembered_since(self.time_at(now))
    }

    /// The records that may be the decision under a key in its scope, at `stamp`.
    pub(crate) fn candidates<'a>(
        &'a self,
        scope: IdempotencyScope<'_>,
        key: &IdempotencyKey,
        stamp: Time,
    ) -> impl Iterator<Item = RecordNumber> + use<'a> {
        self.keys.candidates(self.key_hash(scope, key), self.time_at(stamp))
    }

    /// Whether a record was decided under this key in this scope, and is remembered at `stamp`.
    pub(crate) fn is_decision(
        &self,
        record: &Record,
        scope: IdempotencyScope<'_>,
        key: &IdempotencyKey,
        stamp: Time,
    ) -> bool {
        record.idempotency_key.as_ref() == Some(key)
            && self.api_keys.get(record.actor).is_some_and(|actor| actor.scope() == scope)
            && record.time >= self.remembered_since(stamp)
    }

    /// The hash of a key in its scope.
    pub(crate) fn key_hash(&self, scope: IdempotencyScope<'_>, key: &IdempotencyKey) -> IdempotencyHash {
        let mut hasher = self.keys.seed().build_hasher();
        match scope {
            IdempotencyScope::Seller(seller) => {
                hasher.write_u8(b's');
                hasher.write_u64(seller);
            }
            IdempotencyScope::Admin(name) => {
                hasher.write_u8(b'a');
                hasher.write(name.as_str().as_bytes());
                hasher.write_u8(0);
            }
        }
        hasher.write(key.as_str().as_bytes());
        IdempotencyHash(hasher.finish())
    }

    /// Reads where the look-ups of these idempotency keys begin, and does nothing with it. One command or record after the other
    /// waits for memory; here no read depends on the one before, so that the processor waits for many at once.
    pub(crate) fn touch_keys<'a>(&self, keys: impl Iterator<Item = (ApiKeyNumber, &'a IdempotencyKey)>) {
        let hash = |(actor, key)| Some(self.key_hash(self.api_key(actor)?.scope(), key));
        let keys: Vec<IdempotencyHash> = keys.filter_map(hash).collect();
        for key in keys {
            black_box(self.keys.first_slot(key));
        }
    }

    /// Reads the accounts of these phones in the same way.
    pub(crate) fn touch_phones(&self, phones: impl Iterator<Item = Phone>) {
        for phone in phones {
            black_box(self.phone(phone).map(|account| account.charges));
        }
    }

    /// How many new keys may be decided at `stamp` without passing the operator's bound, `most` at most.
    pub fn key_capacity(&self, stamp: Time, most: u64) -> u64 {
        self.keys.capacity(self.time_at(stamp), most)
    }

    /// How many idempotency keys are within their window at `stamp`.
    pub fn keys_in_use(&self, stamp: Time) -> u64 {
        self.keys.in_use(self.time_at(stamp))
    }

    /// How many of them each seller holds.
    pub fn key_shares(&self, stamp: Time) -> IdempotencyShares<'_> {
        self.keys.shares(self.time_at(stamp))
    }

    /// The seller whose API key this is; `None` for another's.
    pub fn seller_of_key(&self, key: ApiKeyNumber) -> Option<RecordNumber> {
        match self.api_keys.get(key)?.grant {
            Grant::Seller(seller) => Some(seller),
            Grant::Admin | Grant::Auditor | Grant::Approver { .. } | Grant::Operator => None,
        }
    }
}

/// The name of the key of this number among these.
pub(super) fn actor_name(api_keys: &Ordered<ApiKey>, actor: ApiKeyNumber) -> &str {
    if actor == SYSTEM_ACTOR {
        return SYSTEM_NAME;
    }
    api_keys.get(actor).map_or("", |key| key.name.as_str())
}
