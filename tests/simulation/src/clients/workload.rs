//! The workload: sellers, keys, credit requests, verdicts, charges, batches, reversals, and repetitions of them.
//!
//! All clients share it: what one has created, all may use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etebar_node::http::secret;
use etebar_node::raft::{Decided, Decisions};
use etebar_node::storage::model::Dice;
use ledger::{
    Action, Adjust, Amount, ApiKeyHash, ApiKeyNumber, Charge, Command, CreateExpiringKey, CreateKey, CreateSeller,
    DecideCredit, Event, ExpiringKeyCreated, Grant, IdempotencyKey, KeyCreated, KeyRotated, Name, Note, Phone, Record,
    RecordNumber, Reference, RequestCredit, RequestCreditFor, Reverse, RevokeKey, RotateKey, SellerStatus,
    SetSellerStatus, SignedAmount, Time, Verdict,
};

use crate::clients::credentials::{ADMIN, admin_secret, secret_of};
use crate::history::http_response::{CommandResult, HttpResponse, Resource};

/// A seller as clients know it.
#[derive(Debug, Clone)]
pub struct SellerAccount {
    /// Its number.
    pub seller: RecordNumber,
    /// Its API keys with their secrets, some of them revoked.
    pub keys: Vec<(ApiKeyNumber, String)>,
}

/// Of a hundred kinds of operations these many first ones leave charges possible.
const LIVENESS_KINDS: u64 = 79;

/// What clients know of the ledger.
#[derive(Debug, Default)]
pub struct WorkloadState {
    /// Sellers with a key at least.
    pub sellers: Vec<SellerAccount>,
    /// The first sellers exist. Until then the other clients wait, or their keys might use up the bound on keys.
    pub is_ready: bool,
    /// The nodes that are healthy in the liveness phase. Clients of the command port know them, the client library does not.
    pub healthy_nodes: Vec<u64>,
    /// No new operations are submitted.
    pub is_stopped: bool,
    /// The leader that was isolated last: half of all reads go there, and must not see an old state.
    pub isolated_leader: Option<u64>,
    /// A new seller is needed: all others may be without credit, suspended, or without a valid key.
    pub wants_seller: bool,
    requests: Vec<RecordNumber>,
    charges: Vec<RecordNumber>,
    /// Of rotations that were submitted: the hash of the new secret, and the text that it is made of.
    rotations: Vec<(ApiKeyHash, String)>,
    /// The latest time of a record that an answer has shown.
    time: Time,
    /// Commands with a key that were submitted before.
    issued: Vec<Command>,
}

/// Shared by all clients. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Workload(Arc<Mutex<WorkloadState>>);

/// Commands to be decided as one group.
#[derive(Debug)]
pub struct Operation {
    /// The commands, in order.
    pub commands: Vec<Command>,
    /// Whether it may be retried while its outcome is unknown.
    pub may_retry: bool,
}

impl Operation {
    fn one(actor: ApiKeyNumber, key: Option<&str>, action: Action) -> Self {
        let is_idempotent = matches!(action, Action::DecideCredit(_) | Action::RevokeKey(_));
        let may_retry = key.is_some() || is_idempotent;
        Self { commands: vec![command(actor, key, action)], may_retry }
    }
}

/// A command of `actor` under `key`.
pub fn command(actor: ApiKeyNumber, key: Option<&str>, action: Action) -> Command {
    Command { actor, idempotency_key: key.and_then(|key| IdempotencyKey::new(key).ok()), origin: None, action }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("the names here are short and have no blanks")
}

fn one_of<T: Copy>(dice: &mut Dice, some: &[T]) -> Option<T> {
    some.get(dice.below(some.len().max(1) as u64) as usize).copied()
}

impl Workload {
    /// What clients know.
    pub fn state(&self) -> MutexGuard<'_, WorkloadState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what an answer shows.
    pub fn observe(&self, decisions: &Decisions) {
        let mut state = self.state();
        for decided in &decisions.outcomes {
            let Decided::Recorded { record, replayed } = decided else { continue };
            let Record { number, event, time, .. } = &**record;
            state.time = state.time.max(*time);
            match event {
                Event::KeyCreated(KeyCreated { name, grant: Grant::Seller(seller), .. }) => {
                    state.add_key(*seller, (*number, secret_of(name.as_str())));
                }
                Event::ExpiringKeyCreated(ExpiringKeyCreated { key, .. }) => {
                    if let Grant::Seller(seller) = key.grant {
                        state.add_key(seller, (*number, secret_of(key.name.as_str())));
                    }
                }
                Event::KeyRotated(KeyRotated { grant: Grant::Seller(seller), hash, .. }) => {
                    let text =
                        state.rotations.iter().find(|(rotated, _)| rotated == hash).map(|(_, text)| text.clone());
                    if let Some(text) = text {
                        state.add_key(*seller, (*number, secret_of(&text)));
                    }
                }
                Event::CreditRequested(_) | Event::CreditRequestedFor(_) if !replayed => state.requests.push(*number),
                Event::Charged(_) if !replayed => state.charges.push(*number),
                Event::Genesis(_)
                | Event::SellerCreated(_)
                | Event::SellerStatusSet(_)
                | Event::KeyCreated(_)
                | Event::CreditRequested(_)
                | Event::Charged(_)
                | Event::KeyRevoked(_)
                | Event::CreditApproved(_)
                | Event::CreditRejected(_)
                | Event::Adjusted(_)
                | Event::Reversed(_)
                | Event::Refused(_)
                | Event::NodeRegistered(_)
                | Event::RulesRaised(_)
                | Event::NodeAdded(_)
                | Event::NodePromoted(_)
                | Event::NodeRemoved(_)
                | Event::EpochBegun(_)
                | Event::LedgerOpened(_)
                | Event::BackupNoted(_)
                | Event::KeyRotated(_)
                | Event::CreditRequestedFor(_)
                | Event::PolicySet(_) => {}
            }
        }
    }

    /// Takes note of what an answer over HTTP shows.
    pub fn observe_http(&self, response: &HttpResponse) {
        let mut state = self.state();
        for result in &response.results {
            let CommandResult::Done { resource, replayed: false } = result else { continue };
            match **resource {
                Resource::Charge(_) => state.charges.extend(resource.number()),
                Resource::CreditRequest(_) => state.requests.extend(resource.number()),
                Resource::Entry(_) => {}
            }
        }
    }

    /// The next operation of a client; `key` is a new one. None before there is a seller.
    pub fn next_operation(&self, dice: &mut Dice, key: &str, one_in: u64) -> Option<Operation> {
        let mut state = self.state();
        let operation = if !state.issued.is_empty() && dice.once_in(one_in) {
            state.repeat(dice)
        } else {
            state.new_operation(dice, key)?
        };
        state.issued.extend(operation.commands.iter().filter(|command| command.idempotency_key.is_some()).cloned());
        Some(operation)
    }
}

impl WorkloadState {
    fn add_key(&mut self, seller: RecordNumber, key: (ApiKeyNumber, String)) {
        match self.sellers.iter_mut().find(|account| account.seller == seller) {
            Some(account) if account.keys.contains(&key) => {}
            Some(account) => account.keys.push(key),
            None => self.sellers.push(SellerAccount { seller, keys: vec![key] }),
        }
    }

    /// The secret text of a key that is known to exist.
    pub fn secret(&self, key: ApiKeyNumber) -> String {
        let mut keys = self.sellers.iter().flat_map(|account| &account.keys);
        keys.find(|(number, _)| *number == key).map_or_else(admin_secret, |(_, secret)| secret.clone())
    }

    /// An earlier key, with the same content or with other content.
    fn repeat(&self, dice: &mut Dice) -> Operation {
        let from = if dice.once_in(2) { self.issued.len().saturating_sub(20) } else { 0 };
        let place = dice.between(from as u64, self.issued.len() as u64 - 1) as usize;
        let mut command = self.issued[place].clone();
        if dice.once_in(4) {
            command.action = match &command.action {
                Action::Charge(Charge { phone, amount, reference }) => Action::Charge(Charge {
                    phone: *phone,
                    amount: Amount::new(amount.minor() + 1).unwrap_or(*amount),
                    reference: reference.clone(),
                }),
                Action::RequestCredit(RequestCredit { amount, .. }) => {
                    Action::RequestCredit(RequestCredit { amount: *amount, note: note("changed"), reference: None })
                }
                Action::Adjust(Adjust { seller, amount, .. }) => {
                    Action::Adjust(Adjust { seller: *seller, amount: *amount, reason: note("changed") })
                }
                other => other.clone(),
            };
        }
        Operation { commands: vec![command], may_retry: true }
    }

    fn new_operation(&mut self, dice: &mut Dice, key: &str) -> Option<Operation> {
        let place = dice.below(self.sellers.len().max(1) as u64) as usize;
        // Once charges must succeed, the newest seller gets most operations, and keeps its key, its credit and its status.
        let is_liveness = !self.healthy_nodes.is_empty();
        let account = if is_liveness && dice.once_in(2) { self.sellers.last()? } else { self.sellers.get(place)? };
        let seller = account.seller;
        let seller_key = account.keys.get(dice.below(account.keys.len() as u64) as usize)?.0;
        let operation = match dice.below(if is_liveness { LIVENESS_KINDS } else { 100 }) {
            0..=49 => Operation::one(seller_key, Some(key), charge(dice)),
            50..=59 => batch(dice, seller_key, key),
            60..=65 => {
                let amount = Amount::new(dice.between(20, 200))?;
                Operation::one(
                    seller_key,
                    Some(key),
                    Action::RequestCredit(RequestCredit { amount, note: Note::empty(), reference: None }),
                )
            }
            66 => {
                let request =
                    RequestCredit { amount: Amount::new(dice.between(20, 200))?, note: note("for"), reference: None };
                Operation::one(ADMIN, Some(key), Action::RequestCreditFor(RequestCreditFor { seller, request }))
            }
            67..=78 => {
                let verdict = if dice.once_in(4) { Verdict::Rejected } else { Verdict::Approved };
                let recent = &self.requests[self.requests.len().saturating_sub(8)..];
                let request = one_of(dice, recent)?;
                Operation::one(
                    ADMIN,
                    None,
                    Action::DecideCredit(DecideCredit { request, verdict, reason: Note::empty() }),
                )
            }
            79..=84 => {
                let amount = dice.between(1, 150).cast_signed();
                let amount = SignedAmount::new(if dice.once_in(2) { -amount } else { amount })?;
                Operation::one(ADMIN, Some(key), Action::Adjust(Adjust { seller, amount, reason: note("why") }))
            }
            85..=91 => {
                let recent = &self.charges[self.charges.len().saturating_sub(30)..];
                let from = if dice.once_in(3) { &self.charges } else { recent };
                let charge = one_of(dice, from)?;
                Operation::one(ADMIN, Some(key), Action::Reverse(Reverse { charge, reason: note("why") }))
            }
            92 => Operation::one(ADMIN, None, new_key(seller, key)),
            93 => Operation::one(ADMIN, None, self.ending_key(dice, seller, seller_key, key)),
            94 => Operation::one(ADMIN, None, Action::RevokeKey(RevokeKey { key: seller_key })),
            95..=97 => {
                let status = if dice.once_in(4) { SellerStatus::Suspended } else { SellerStatus::Active };
                Operation::one(ADMIN, None, Action::SetSellerStatus(SetSellerStatus { seller, status }))
            }
            _ => Operation::one(ADMIN, None, Action::CreateSeller(CreateSeller { name: name(key) })),
        };
        Some(operation)
    }
}

/// Longest life of a key that ends, and longest overlap of a rotation, in milliseconds: both are over within most runs.
const KEY_LIFE_MAX_MS: u64 = 20_000;

impl WorkloadState {
    /// A key of a seller that ends, or one that takes the place of another.
    fn ending_key(&mut self, dice: &mut Dice, seller: RecordNumber, old: ApiKeyNumber, text: &str) -> Action {
        let hash = secret::hash(&secret_of(text));
        let end = self.time.after(dice.between(1, KEY_LIFE_MAX_MS));
        if dice.once_in(2) {
            let key = CreateKey { name: name(text), grant: Grant::Seller(seller), hash };
            return Action::CreateExpiringKey(CreateExpiringKey { key, expires_at: end });
        }
        self.rotations.push((hash, text.to_owned()));
        let expires_at = Some(end).filter(|_| dice.once_in(2));
        Action::RotateKey(RotateKey { key: old, hash, overlap_ms: dice.below(KEY_LIFE_MAX_MS), expires_at })
    }
}

fn note(text: &str) -> Note {
    Note::new(text).unwrap_or_else(|_| Note::empty())
}

fn charge(dice: &mut Dice) -> Action {
    let phone = Phone::new(989_120_000_000 + dice.below(50)).expect("these are Iranian mobile numbers");
    let amount = Amount::new(dice.between(1, 30)).expect("it is at least one");
    let reference =
        Reference::new(&format!("order-{}", amount.minor())).ok().filter(|_| amount.minor().is_multiple_of(3));
    Action::Charge(Charge { phone, amount, reference })
}

/// Several charges in one batch; sometimes one key twice, with the same content or other content.
fn batch(dice: &mut Dice, actor: ApiKeyNumber, key: &str) -> Operation {
    let charges = dice.between(2, 12);
    let mut commands: Vec<Command> =
        (0..charges).map(|place| command(actor, Some(&format!("{key}.{place}")), charge(dice))).collect();
    if dice.once_in(3) {
        let twice = commands[dice.below(charges) as usize].clone();
        let action = if dice.once_in(2) { charge(dice) } else { twice.action.clone() };
        commands.push(Command { action, ..twice });
    }
    Operation { commands, may_retry: true }
}

/// A new key of a seller; `text` makes name and secret unique.
pub fn new_key(seller: RecordNumber, text: &str) -> Action {
    Action::CreateKey(CreateKey {
        name: name(text),
        grant: Grant::Seller(seller),
        hash: secret::hash(&secret_of(text)),
    })
}
