//! What clients want: sellers, keys, requests, verdicts, charges, batches, reversals, and the same again.
//!
//! What one client was told of, all may use: they share the market as the customers of one cluster do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etebar::api::Role;
use etebar_node::http::secret;
use etebar_node::raft::{Decided, Decisions};
use etebar_node::storage::model::Dice;
use ledger::{
    Action, Adjust, Amount, Charge, Command, CreateKey, CreateSeller, DecideCredit, Event, Grant, IdempotencyKey,
    KeyCreated, KeyNumber, Name, Note, Phone, Record, RecordNumber, RequestCredit, Reverse, RevokeKey, SellerStatus,
    SetSellerStatus, SignedAmount, Verdict,
};

use crate::shown::{Shown, Thing, Told};

/// The record of the genesis, and so the number of the first admin's key.
pub const ADMIN: KeyNumber = 1;

/// A seller as clients know it.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Its number.
    pub seller: RecordNumber,
    /// Its API keys with their secrets, some of them revoked.
    pub keys: Vec<(KeyNumber, String)>,
}

/// Of a hundred kinds of wishes the first so many leave charges possible.
const CALM: u64 = 79;

/// What is known of the ledger.
#[derive(Debug, Default)]
pub struct Known {
    /// Sellers with a key at least.
    pub shops: Vec<Shop>,
    /// The first shops are there. Until then the others wait, or their keys might take all the room that there is for keys.
    pub open: bool,
    /// The members that are well in the second phase: who comes by the other door has heard of it. The client library has not.
    pub well: Vec<u64>,
    /// No new wishes.
    pub closed: bool,
    /// The leader that was cut off last: half of all reads go there, and must find no old state.
    pub suspect: Option<u64>,
    /// A new shop is wanted: of the others all may be poor, suspended, or without a key that is good.
    pub wants_shop: bool,
    requests: Vec<RecordNumber>,
    charges: Vec<RecordNumber>,
    /// Commands with a key that were asked for before.
    asked: Vec<Command>,
}

/// Shared by all clients. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Market(Arc<Mutex<Known>>);

/// Commands to be decided as one group.
#[derive(Debug)]
pub struct Wish {
    /// In order.
    pub commands: Vec<Command>,
    /// Whether it may be asked for again while it is not known whether it was done.
    pub may_repeat: bool,
}

impl Wish {
    fn one(actor: KeyNumber, key: Option<&str>, action: Action) -> Self {
        let by_nature = matches!(action, Action::DecideCredit(_) | Action::RevokeKey(_));
        let may_repeat = key.is_some() || by_nature;
        Self { commands: vec![command(actor, key, action)], may_repeat }
    }
}

/// A command of `actor` under `key`.
pub fn command(actor: KeyNumber, key: Option<&str>, action: Action) -> Command {
    Command { actor, idempotency_key: key.and_then(|key| IdempotencyKey::new(key).ok()), action }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("the names here are short and have no blanks")
}

fn one_of<T: Copy>(dice: &mut Dice, some: &[T]) -> Option<T> {
    some.get(dice.below(some.len().max(1) as u64) as usize).copied()
}

impl Market {
    /// What is known.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a client learns from an answer.
    pub fn learn(&self, decisions: &Decisions) {
        let mut known = self.known();
        for decided in &decisions.outcomes {
            let Decided::Recorded { record: Record { number, event, .. }, replayed } = decided else { continue };
            match event {
                Event::KeyCreated(KeyCreated { name, grant: Grant::Seller(seller), .. }) => {
                    let key = (*number, secret_of(name.as_str()));
                    match known.shops.iter_mut().find(|shop| shop.seller == *seller) {
                        Some(shop) if shop.keys.contains(&key) => {}
                        Some(shop) => shop.keys.push(key),
                        None => known.shops.push(Shop { seller: *seller, keys: vec![key] }),
                    }
                }
                Event::CreditRequested(_) if !replayed => known.requests.push(*number),
                Event::Charged(_) if !replayed => known.charges.push(*number),
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
                | Event::NodeRegistered(_) => {}
            }
        }
    }

    /// What a client learns from an answer over HTTP.
    pub fn learn_shown(&self, shown: &Shown) {
        let mut known = self.known();
        for told in &shown.told {
            let Told::Done { thing, replayed: false } = told else { continue };
            match **thing {
                Thing::Charge(_) => known.charges.extend(thing.number()),
                Thing::Request(_) => known.requests.extend(thing.number()),
                Thing::Entry(_) => {}
            }
        }
    }

    /// The next wish of a client; `key` is a new one. None before there is a seller.
    pub fn wish(&self, dice: &mut Dice, key: &str, again: u64) -> Option<Wish> {
        let mut known = self.known();
        let wish = if !known.asked.is_empty() && dice.once_in(again) {
            known.again(dice)
        } else {
            known.new_wish(dice, key)?
        };
        known.asked.extend(wish.commands.iter().filter(|command| command.idempotency_key.is_some()).cloned());
        Some(wish)
    }
}

impl Known {
    /// The secret text of a key that is known to exist.
    pub fn secret(&self, key: KeyNumber) -> String {
        let mut keys = self.shops.iter().flat_map(|shop| &shop.keys);
        keys.find(|(number, _)| *number == key).map_or_else(admin_secret, |(_, secret)| secret.clone())
    }

    /// A key of before, for the same content or for other content.
    fn again(&self, dice: &mut Dice) -> Wish {
        let from = if dice.once_in(2) { self.asked.len().saturating_sub(20) } else { 0 };
        let place = dice.between(from as u64, self.asked.len() as u64 - 1) as usize;
        let mut command = self.asked[place].clone();
        if dice.once_in(4) {
            command.action = match &command.action {
                Action::Charge(Charge { phone, amount }) => {
                    Action::Charge(Charge { phone: *phone, amount: Amount::new(amount.minor() + 1).unwrap_or(*amount) })
                }
                Action::RequestCredit(RequestCredit { amount, .. }) => {
                    Action::RequestCredit(RequestCredit { amount: *amount, note: note("changed") })
                }
                Action::Adjust(Adjust { seller, amount, .. }) => {
                    Action::Adjust(Adjust { seller: *seller, amount: *amount, reason: note("changed") })
                }
                other => other.clone(),
            };
        }
        Wish { commands: vec![command], may_repeat: true }
    }

    fn new_wish(&self, dice: &mut Dice, key: &str) -> Option<Wish> {
        let place = dice.below(self.shops.len().max(1) as u64) as usize;
        // Once charges must succeed, the newest shop has most of the trade, and nobody takes its key, its credit or its licence.
        let is_calm = !self.well.is_empty();
        let shop = if is_calm && dice.once_in(2) { self.shops.last()? } else { self.shops.get(place)? };
        let seller = shop.seller;
        let seller_key = shop.keys.get(dice.below(shop.keys.len() as u64) as usize)?.0;
        let wish = match dice.below(if is_calm { CALM } else { 100 }) {
            0..=49 => Wish::one(seller_key, Some(key), charge(dice)),
            50..=59 => batch(dice, seller_key, key),
            60..=66 => {
                let amount = Amount::new(dice.between(20, 200))?;
                Wish::one(seller_key, Some(key), Action::RequestCredit(RequestCredit { amount, note: Note::empty() }))
            }
            67..=78 => {
                let verdict = if dice.once_in(4) { Verdict::Rejected } else { Verdict::Approved };
                let recent = &self.requests[self.requests.len().saturating_sub(8)..];
                let request = one_of(dice, recent)?;
                Wish::one(ADMIN, None, Action::DecideCredit(DecideCredit { request, verdict, reason: Note::empty() }))
            }
            79..=84 => {
                let amount = dice.between(1, 150) as i64;
                let amount = SignedAmount::new(if dice.once_in(2) { -amount } else { amount })?;
                Wish::one(ADMIN, Some(key), Action::Adjust(Adjust { seller, amount, reason: note("why") }))
            }
            85..=91 => {
                let recent = &self.charges[self.charges.len().saturating_sub(30)..];
                let from = if dice.once_in(3) { &self.charges } else { recent };
                let charge = one_of(dice, from)?;
                Wish::one(ADMIN, Some(key), Action::Reverse(Reverse { charge, reason: note("why") }))
            }
            92..=93 => Wish::one(ADMIN, None, new_key(seller, key)),
            94 => Wish::one(ADMIN, None, Action::RevokeKey(RevokeKey { key: seller_key })),
            95..=97 => {
                let status = if dice.once_in(4) { SellerStatus::Suspended } else { SellerStatus::Active };
                Wish::one(ADMIN, None, Action::SetSellerStatus(SetSellerStatus { seller, status }))
            }
            _ => Wish::one(ADMIN, None, Action::CreateSeller(CreateSeller { name: name(key) })),
        };
        Some(wish)
    }
}

fn note(text: &str) -> Note {
    Note::new(text).unwrap_or_else(|_| Note::empty())
}

fn charge(dice: &mut Dice) -> Action {
    let phone = Phone::new(989_120_000_000 + dice.below(50)).expect("these are Iranian mobile numbers");
    let amount = Amount::new(dice.between(1, 30)).expect("it is at least one");
    Action::Charge(Charge { phone, amount })
}

/// Some charges at once; now and then one key twice, with the same content or another.
fn batch(dice: &mut Dice, actor: KeyNumber, key: &str) -> Wish {
    let charges = dice.between(2, 12);
    let mut commands: Vec<Command> =
        (0..charges).map(|place| command(actor, Some(&format!("{key}.{place}")), charge(dice))).collect();
    if dice.once_in(3) {
        let twice = commands[dice.below(charges) as usize].clone();
        let action = if dice.once_in(2) { charge(dice) } else { twice.action.clone() };
        commands.push(Command { action, ..twice });
    }
    Wish { commands, may_repeat: true }
}

/// A new key of a seller; `text` makes name and secret unique.
pub fn new_key(seller: RecordNumber, text: &str) -> Action {
    Action::CreateKey(CreateKey {
        name: name(text),
        grant: Grant::Seller(seller),
        hash: secret::hash(&secret_of(text)),
    })
}

/// The secret of the key of this name.
fn secret_of(name: &str) -> String {
    let mut bits = [0; 32];
    for (bit, from) in bits.iter_mut().zip(name.bytes()) {
        *bit = from;
    }
    secret::text(Role::Seller, &bits)
}

/// The secret of the key [`ADMIN`].
pub fn admin_secret() -> String {
    secret::text(Role::Admin, &[7; 32])
}
