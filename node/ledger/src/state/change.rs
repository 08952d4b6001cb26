//! How a state changes: one function for each thing that an event can do to it.
//!
//! What would corrupt the books is asserted where it changes. A record that breaks one does not fit the history: the node
//! stops, since continuing would corrupt the books.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::api_key::{ApiKey, Grant, IdempotencyScope};
use super::genesis::Genesis;
use super::idempotency_table::IdempotencyTable;
use super::node::{Node, NodeAddresses, NodeMembership};
use super::policy::Policy;
use super::read::actor_name;
use super::recovery::{Epoch, Hold, VerifiedBackup};
use super::seller::{Seller, SellerStatus};
use super::{Incarnation, NodeNumber, PhoneAccount, State};
use crate::commands::EpochBegun;
use crate::entry::Movement;
use crate::page::{PageMark, page_of};
use crate::record::Record;
use crate::values::amount::Balance;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{ApiKeyHash, ApiKeyNumber, At, IdKind, IdSpace, RecordNumber, Time};
use crate::values::phone::Phone;
use crate::values::text::{IdempotencyKey, Name};

impl State {
    /// Begins the next record.
    pub(crate) fn advance(&mut self, at: At) {
        assert_eq!(at.number, self.records.saturating_add(1), "records come in order, without gaps");
        assert!(at.time >= self.time, "ledger time only grows");
        let page = page_of(at.number);
        if self.records == 0 || page != page_of(self.records) {
            self.page = PageMark {
                ledger: self.ledger_id(),
                first: at.number,
                time: at.time,
                entries: self.entries,
                keyed: self.keyed,
                record_digest: self.record_chain.turn_to(page),
                entry_digest: self.entry_chain.turn_to(page),
            };
        }
        self.records = at.number;
        self.time = at.time;
        self.expire_api_keys();
    }

    /// The chain over records, up to this one. After its event: the first record names the ledger.
    pub(crate) fn chain(&mut self, record: &Record) {
        let ledger = self.ledger_id();
        self.record_chain.push(ledger, record);
    }

    /// Ends a record that made an entry, with the published chain up to it.
    pub(crate) fn advance_journal(&mut self, record: &Record, movement: &Movement<'_>) {
        assert_eq!(movement.entry_number, self.entries.saturating_add(1), "entries are numbered without gaps");
        let ledger = self.ledger_id();
        let entry = movement.entry(&self.ids, record.at(), actor_name(&self.api_keys, record.actor));
        self.entry_chain.push(ledger, &entry);
        self.entries = entry.number;
    }

    /// Bootstraps the ledger, with its first admin key.
    pub(crate) fn start(&mut self, at: At, genesis: &Genesis) {
        assert!(self.genesis.is_none(), "a ledger has one genesis");
        self.ids = IdSpace::new(genesis.ledger, genesis.epoch);
        self.rules = genesis.rules;
        self.keys = IdempotencyTable::new(self.keys.seed(), genesis.key_window_ms, genesis.keys_max);
        self.genesis = Some(Box::new(genesis.clone()));
        if let Ok(name) = Name::new("admin") {
            self.add_api_key(at, name, Grant::Admin, genesis.admin_key, None);
        }
    }

    /// Begins an epoch, on hold. Nodes are numbered anew, and their certificates are another cluster's.
    pub(crate) fn begin_epoch(&mut self, at: At, begun: &EpochBegun) {
        let EpochBegun { epoch, cluster, rules, admin_key } = begun;
        assert!(*epoch > self.epoch(), "epochs only grow");
        if *rules > self.rules {
            self.raise_rules(*rules);
        }
        self.ids.begin_epoch(self.ledger_id(), *epoch, at.number);
        self.recovery.epochs.push(Epoch { number: *epoch, cluster: *cluster, first: at.number });
        self.recovery.hold = Hold::Since { began: at.number };
        self.nodes.clear();
        if let Some(key) = admin_key {
            self.add_api_key(at, key.name.clone(), Grant::Admin, key.hash, None);
        }
    }

    /// Ends the hold.
    pub(crate) fn end_hold(&mut self, at: At) {
        assert!(self.is_on_hold(), "a hold ends once");
        self.recovery.hold = Hold::Ended { by: at.number };
    }

    /// A backup of so many records was verified.
    pub(crate) fn note_backup(&mut self, at: At, records: u64) {
        assert!(records < at.number, "a backup has no more than the ledger");
        self.recovery.last_backup = Some(VerifiedBackup { at: at.time, records });
    }

    /// Adds a seller without credit.
    pub(crate) fn add_seller(&mut self, at: At, name: &Name) {
        let seller = Seller {
            number: at.number,
            id: self.ids.uuid(IdKind::Seller, at.number),
            name: name.clone(),
            status: SellerStatus::Active,
            balance: Balance::ZERO,
            created_at: at.time,
            entries: 0,
        };
        self.sellers.push(at.number, seller);
    }

    /// Sets whether a seller may act.
    pub(crate) fn set_seller_status(&mut self, seller: RecordNumber, status: SellerStatus) {
        self.seller_mut(seller).status = status;
    }

    /// Adds an API key.
    pub(crate) fn add_api_key(&mut self, at: At, name: Name, grant: Grant, hash: ApiKeyHash, expires_at: Option<Time>) {
        let folded = FoldedName::of(&name);
        let (number, created_at, revoked_by) = (at.number, at.time, None);
        let key = ApiKey { number, name, folded, grant, hash, created_at, revoked_by, expires_at };
        let taken_by = Arc::make_mut(&mut self.api_key_by_hash).insert(hash, number);
        assert!(taken_by.is_none(), "a key's secret is drawn once");
        self.activate(&key);
        self.api_keys.push(number, key);
    }

    /// Revokes an API key.
    pub(crate) fn revoke_api_key(&mut self, at: At, number: ApiKeyNumber) {
        let key = self.deactivated(number);
        assert!(key.revoked_by.is_none(), "a key is revoked once");
        key.revoked_by = Some(at.number);
    }

    /// Gives an API key an end. At or before `at` it has ended.
    pub(crate) fn end_api_key(&mut self, at: At, number: ApiKeyNumber, end: Time) {
        let key = self.deactivated(number);
        assert!(key.is_valid_at(at.time), "a key that is rotated is valid");
        key.expires_at = Some(end);
        let key = key.clone();
        self.activate(&key);
    }

    /// Ends the API keys whose time has come. The names are free then; a key stays known, for its name.
    fn expire_api_keys(&mut self) {
        while let Some((end, number)) = self.expiring.first().copied().filter(|(end, _)| *end <= self.time) {
            Arc::make_mut(&mut self.expiring).remove(&(end, number));
            let name = self.api_keys.get(number).map(|key| self.compared(&key.name));
            self.release_name(&name.unwrap_or_else(|| panic!("a key that ends was made before")));
        }
    }

    /// What is found by a key while it is neither revoked nor expired.
    pub(super) fn activate(&mut self, key: &ApiKey) {
        if !key.is_valid_at(self.time) {
            return;
        }
        self.hold_name(self.compared(&key.name));
        self.active_admin_keys = self.active_admin_keys.saturating_add(u64::from(key.is_lasting_admin()));
        if let Some(end) = key.expires_at {
            Arc::make_mut(&mut self.expiring).insert((end, key.number));
        }
    }

    /// Undoes [`Self::activate`]; gives the key.
    fn deactivated(&mut self, number: ApiKeyNumber) -> &mut ApiKey {
        let Some(key) = self.api_keys.get(number) else { panic!("an API key was made before: record {number}") };
        if key.is_valid_at(self.time) {
            let (name, end) = (self.compared(&key.name), key.expires_at);
            self.active_admin_keys = self.active_admin_keys.saturating_sub(u64::from(key.is_lasting_admin()));
            if let Some(end) = end {
                Arc::make_mut(&mut self.expiring).remove(&(end, number));
            }
            self.release_name(&name);
        }
        let Some(key) = self.api_keys.get_mut(number) else { panic!("it was there") };
        key
    }

    /// Sets the policy of the back office.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Raises the version of the rules. The names of active keys are compared as the new one says from here on: two that are
    /// one by it stay, and no third is made.
    pub(crate) fn raise_rules(&mut self, to: u32) {
        assert!(to > self.rules, "rules are only raised");
        self.rules = to;
        self.active_key_names = Arc::default();
        let active = self.api_keys.after(0).map(|(_, key)| key).filter(|key| key.is_valid_at(self.time));
        let names: Vec<_> = active.map(|key| FoldedName::under(to, &key.name)).collect();
        for name in names {
            self.hold_name(name);
        }
    }

    /// One active key of this name more.
    fn hold_name(&mut self, name: FoldedName) {
        let of_this_name = Arc::make_mut(&mut self.active_key_names).entry(name).or_default();
        *of_this_name = of_this_name.saturating_add(1);
    }

    /// One active key of this name less.
    fn release_name(&mut self, name: &FoldedName) {
        let names = Arc::make_mut(&mut self.active_key_names);
        match names.get_mut(name) {
            Some(1) => drop(names.remove(name)),
            Some(of_this_name) => *of_this_name = of_this_name.saturating_sub(1),
            None => panic!("an active key's name is known"),
        }
    }

    /// Adds a pending credit request.
    pub(crate) fn add_request(&mut self, at: At, seller: RecordNumber) {
        self.pending.insert(at.number, seller);
        self.pending_of_sellers.insert((seller, at.number));
    }

    /// Ends a credit request.
    pub(crate) fn decide_request(&mut self, request: RecordNumber) {
        let Some(seller) = self.pending.remove(&request) else { panic!("a request has one verdict") };
        self.pending_of_sellers.remove(&(seller, request));
    }

    /// Moves a seller's credit to `balance`, which must be what `moved` makes of the balance before.
    pub(crate) fn move_credit(
        &mut self,
        seller: RecordNumber,
        balance: Balance,
        moved: impl FnOnce(Balance) -> Option<Balance>,
    ) {
        let account = self.seller_mut(seller);
        assert_eq!(moved(account.balance), Some(balance), "an entry moves exactly its amount");
        let difference = balance.signed().saturating_sub(account.balance.signed());
        account.balance = balance;
        account.entries = account.entries.saturating_add(1);
        self.totals.sellers = self.totals.sellers.saturating_add(i128::from(difference));
    }

    /// Moves a phone's balance to what `moved` makes of it.
    pub(crate) fn move_phone(&mut self, phone: Phone, moved: impl FnOnce(&mut PhoneAccount) -> Option<Balance>) {
        let account = self.phones.get_or_default(phone.digits());
        let Some(account) = account else { panic!("every phone has a table") };
        let before = account.balance.signed();
        let Some(balance) = moved(account) else { panic!("a phone's balance was checked before") };
        account.balance = balance;
        let difference = balance.signed().saturating_sub(before);
        self.totals.phones = self.totals.phones.saturating_add(i128::from(difference));
    }

    /// Moves the issuer's account by `amount` minor units.
    pub(crate) fn move_treasury(&mut self, amount: i64) {
        self.totals.treasury = self.totals.treasury.saturating_add(i128::from(amount));
    }

    /// Binds a node's number to its data directory.
    pub(crate) fn register_node(&mut self, node: NodeNumber, incarnation: Incarnation) {
        self.nodes.entry(node).or_default().incarnation = Some(incarnation);
    }

    /// Adds a node that is to follow.
    pub(crate) fn add_node(&mut self, at: At, node: NodeNumber, addresses: NodeAddresses) {
        assert!(node > self.last_node(), "a node's number is given once");
        let (addresses, membership) = (Some(addresses), NodeMembership::Learner);
        self.nodes.insert(node, Node { incarnation: None, addresses, membership, decided_by: at.number });
    }

    /// A node that was added is to vote.
    pub(crate) fn promote_node(&mut self, at: At, node: NodeNumber) {
        let Some(node) = self.nodes.get_mut(&node) else { panic!("a node that is promoted was added before") };
        assert!(node.membership == NodeMembership::Learner, "a node is promoted once");
        (node.membership, node.decided_by) = (NodeMembership::Voter, at.number);
    }

    /// A node is to be a member no longer.
    pub(crate) fn remove_node(&mut self, at: At, node: NodeNumber) {
        let node = self.nodes.entry(node).or_default();
        assert!(node.membership != NodeMembership::Removed, "a node is removed once");
        (node.membership, node.decided_by) = (NodeMembership::Removed, at.number);
    }

    /// Remembers the idempotency key of a record.
    pub(crate) fn remember(&mut self, at: At, actor: ApiKeyNumber, key: &IdempotencyKey) {
        let Some(scope) = self.api_keys.get(actor).map(ApiKey::scope) else {
            panic!("only an API key's command has an idempotency key")
        };
        let hash = self.key_hash(scope, key);
        let seller = match scope {
            IdempotencyScope::Seller(seller) => Some(seller),
            IdempotencyScope::Admin(_) => None,
        };
        self.keyed = self.keyed.saturating_add(1);
        self.keys.insert(hash, seller, at.number, at.time);
    }

    fn seller_mut(&mut self, number: RecordNumber) -> &mut Seller {
        match self.sellers.get_mut(number) {
            Some(seller) => seller,
            None => panic!("a seller was created before: record {number}"),
        }
    }
}
