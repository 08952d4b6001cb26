//! Which new idempotency keys an entry may take: as many as can be remembered, and no seller's at the cost of the others.
//!
//! A seller's share is what each would have if all sellers that hold keys held equally many. It binds once three quarters of
//! the keys that can be remembered are in use; before, any seller may use what is free. Keys of admins take part of the
//! whole, and have no share of their own: an admin must be able to act. A known key is a replay and always fits: one that was
//! decided before, and one that this entry takes already.

use std::collections::{BTreeMap, HashSet};

use ledger::{ApiKeyNumber, Command, IdempotencyShares, RecordNumber, State, Time};

/// Room for new idempotency keys in one entry, on a state that reflects the whole log.
pub(crate) struct IdempotencyBudget<'a> {
    state: &'a State,
    stamp: Time,
    /// How many new ones can be remembered, as far as this entry could need them.
    room: u64,
    /// How many can be remembered at all.
    bound: u64,
    /// How many are in use, with those that this entry has taken.
    in_use: u64,
    shares: IdempotencyShares<'a>,
    /// Keys that this entry has taken.
    entry: HashSet<ScopedKey>,
    /// How many of them for each seller.
    taken: BTreeMap<RecordNumber, u64>,
    /// Sellers that hold keys, with those that this entry gives their first.
    holders: u64,
}

/// An idempotency key, and whose it is. Those of admins count as their API key's, though one of the same name shares them:
/// so they may count twice, and never too seldom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ScopedKey {
    owner: Owner,
    key: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Seller(RecordNumber),
    ApiKey(ApiKeyNumber),
}

/// The new idempotency keys of a group, each once, and how many of them for each seller.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NewKeys {
    keys: HashSet<ScopedKey>,
    by_seller: BTreeMap<RecordNumber, u64>,
}

impl NewKeys {
    fn count(&self) -> u64 {
        self.keys.len() as u64
    }
}

/// Why a group does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// No more keys can be remembered.
    #[error("the memory of idempotency keys is full")]
    Memory,
    /// The group's seller would hold more than its share.
    #[error(
        "the memory of idempotency keys is nearly full: this seller holds {held} of {bound} keys and asks for {new} more; \
         an equal share of the {sellers} sellers that hold keys is {share}"
    )]
    Share {
        /// Keys that the seller holds.
        held: u64,
        /// Keys that can be remembered.
        bound: u64,
        /// New ones in the group.
        new: u64,
        /// An equal share.
        share: u64,
        /// Among so many sellers.
        sellers: u64,
    },
}

/// Keys in use from which on shares bind: three quarters of `bound`.
fn line(bound: u64) -> u64 {
    bound - bound / 4
}

/// A group that begins below the line may pass it up to here, seven eighths of `bound`: so that a large one is not refused
/// while little is in use, and not all of the last quarter is gone with it.
fn ceiling(bound: u64) -> u64 {
    bound - bound / 8
}

impl<'a> IdempotencyBudget<'a> {
    /// The budget of an entry with `most` keys at most; `None` where all of them certainly fit.
    pub(crate) fn where_scarce(state: &'a State, stamp: Time, most: u64) -> Option<Self> {
        let bound = state.genesis().map_or(0, |genesis| genesis.keys_max);
        let room = state.key_capacity(stamp, most);
        let in_use = state.keys_in_use(stamp);
        if room >= most && in_use.saturating_add(most) <= line(bound) {
            return None;
        }
        let shares = state.key_shares(stamp);
        let holders = shares.sellers();
        Some(Self { state, stamp, room, bound, in_use, shares, entry: HashSet::new(), taken: BTreeMap::new(), holders })
    }

    /// The new keys of a group, where all of them fit.
    pub(crate) fn check(&self, commands: &[Command]) -> Result<NewKeys, Full> {
        let new = self.new_keys(commands);
        if new.count() > self.room {
            return Err(Full::Memory);
        }
        if self.in_use < line(self.bound) && self.in_use.saturating_add(new.count()) <= ceiling(self.bound) {
            return Ok(new);
        }
        for (seller, count) in &new.by_seller {
            let held = self.held(*seller);
            let sellers = self.holders + u64::from(held == 0);
            let share = (self.bound / sellers.max(1)).max(1);
            if held.saturating_add(*count) > share {
                return Err(Full::Share { held, bound: self.bound, new: *count, share, sellers });
            }
        }
        Ok(new)
    }

    /// Takes the keys of a group that fits into the entry.
    pub(crate) fn spend(&mut self, new: NewKeys) {
        self.room = self.room.saturating_sub(new.count());
        self.in_use = self.in_use.saturating_add(new.count());
        for (seller, count) in &new.by_seller {
            self.holders += u64::from(self.held(*seller) == 0);
            *self.taken.entry(*seller).or_default() += count;
        }
        self.entry.extend(new.keys);
    }

    /// What a seller holds, with what this entry has taken for it.
    fn held(&self, seller: RecordNumber) -> u64 {
        self.shares.held(seller).saturating_add(self.taken.get(&seller).copied().unwrap_or(0))
    }

    fn new_keys(&self, commands: &[Command]) -> NewKeys {
        let mut new = NewKeys::default();
        for command in commands {
            let Some(key) = &command.idempotency_key else { continue };
            if command.seems_decided(self.state, self.stamp) {
                continue;
            }
            let seller = self.state.seller_of_key(command.actor);
            let owner = seller.map_or(Owner::ApiKey(command.actor), Owner::Seller);
            let key = ScopedKey { owner, key: key.as_str().into() };
            if !self.entry.contains(&key)
                && new.keys.insert(key)
                && let Some(seller) = seller
            {
                *new.by_seller.entry(seller).or_default() += 1;
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use ledger::{
        Action, Amount, ApiKeyHash, Charge, Event, Genesis, Grant, IdempotencyKey, KeyCreated, Name, Phone,
        RULES_VERSION, Record, Refused, SYSTEM_ACTOR, SellerCreated, TableSeed,
    };
    use uuid::Uuid;

    use super::*;

    const ADMIN: RecordNumber = 1;
    const WINDOW_MS: u64 = 1_000;

    /// A ledger of sellers without credit: each of their charges is refused, and remembered.
    struct Shop {
        state: State,
        now: Time,
    }

    impl Shop {
        fn new(keys_max: u64) -> Self {
            let mut shop = Self { state: State::new(TableSeed([1, 2])), now: Time(1) };
            let genesis = Genesis {
                ledger: Uuid::from_u128(7),
                epoch: 1,
                currency: Name::new("IRT").unwrap(),
                decimals: 0,
                key_window_ms: WINDOW_MS,
                keys_max,
                rules: RULES_VERSION,
                admin_key: ApiKeyHash([0; 32]),
            };
            shop.apply(SYSTEM_ACTOR, None, Event::Genesis(genesis));
            shop
        }

        fn apply(&mut self, actor: RecordNumber, key: Option<IdempotencyKey>, event: Event) -> RecordNumber {
            let number = self.state.records() + 1;
            self.state.apply(&Record { number, time: self.now, actor, idempotency_key: key, origin: None, event });
            number
        }

        /// The API key of a new seller.
        fn seller(&mut self, name: &str) -> RecordNumber {
            let name = Name::new(name).unwrap();
            let seller = self.apply(ADMIN, None, Event::SellerCreated(SellerCreated { name: name.clone() }));
            let mut hash = ApiKeyHash([0; 32]);
            hash.0[..8].copy_from_slice(&seller.to_be_bytes());
            self.apply(ADMIN, None, Event::KeyCreated(KeyCreated { name, grant: Grant::Seller(seller), hash }))
        }

        /// Has the entry decided that an honest leader would propose of these groups; what each was answered.
        fn propose(&mut self, groups: &[Vec<Command>]) -> Vec<Result<(), Full>> {
            let most = groups.iter().flatten().count() as u64;
            let answers: Vec<_> = match IdempotencyBudget::where_scarce(&self.state, self.now, most) {
                None => groups.iter().map(|_| Ok(())).collect(),
                Some(mut budget) => {
                    groups.iter().map(|group| budget.check(group).map(|new| budget.spend(new))).collect()
                }
            };
            let done = groups.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
            for command in done.flat_map(|(group, _)| group) {
                if !command.seems_decided(&self.state, self.now) {
                    let refusal = ledger::Refusal::SellerSuspended;
                    let event = Event::Refused(Refused { action: command.action.clone(), refusal });
                    self.apply(command.actor, command.idempotency_key.clone(), event);
                }
            }
            assert!(self.state.keys_held() <= self.state.genesis().unwrap().keys_max, "never more than the bound");
            answers
        }

        fn one(&mut self, group: Vec<Command>) -> Result<(), Full> {
            self.propose(&[group]).remove(0)
        }
    }

    fn charges(actor: RecordNumber, keys: std::ops::Range<u32>) -> Vec<Command> {
        let charge = |number: u32| Command {
            actor,
            idempotency_key: IdempotencyKey::new(&format!("k{number}")).ok(),
            origin: None,
            action: Action::Charge(Charge {
                phone: Phone::new(989_120_000_000).unwrap(),
                amount: Amount::new(1).unwrap(),
                reference: None,
            }),
        };
        keys.map(charge).collect()
    }

    #[test]
    fn a_greedy_seller_is_refused_at_three_quarters_and_the_other_continues() {
        let mut shop = Shop::new(100);
        let (greedy, modest) = (shop.seller("greedy"), shop.seller("modest"));
        assert_eq!(shop.one(charges(modest, 0..5)), Ok(()));
        for at in 0..70 {
            assert_eq!(
                shop.one(charges(greedy, at..at + 1)),
                Ok(()),
                "charge {at}: less than three quarters are in use"
            );
        }
        let full = Full::Share { held: 70, bound: 100, new: 1, share: 50, sellers: 2 };
        assert_eq!(shop.one(charges(greedy, 70..71)), Err(full));
        assert_eq!(shop.one(charges(greedy, 0..70)), Ok(()), "known keys are answered");
        assert_eq!(shop.one(charges(modest, 5..30)), Ok(()));
        assert_eq!(shop.one(charges(modest, 30..31)), Err(Full::Memory), "no key is forgotten early");
        assert_eq!(shop.one(charges(modest, 0..30)), Ok(()));
        shop.now = shop.now.after(WINDOW_MS);
        assert_eq!(shop.one(charges(greedy, 100..160)), Ok(()), "all is forgotten");
    }

    #[test]
    fn groups_of_one_entry_count_together() {
        let mut shop = Shop::new(100);
        let (one, two) = (shop.seller("one"), shop.seller("two"));
        let answers =
            shop.propose(&[charges(one, 0..60), charges(two, 0..20), charges(one, 60..70), charges(two, 20..40)]);
        let share = Full::Share { held: 60, bound: 100, new: 10, share: 50, sellers: 2 };
        assert_eq!(answers, [Ok(()), Ok(()), Err(share), Ok(())]);
    }

    #[test]
    fn replays_take_none_of_a_share_whether_decided_before_or_in_this_entry() {
        let mut shop = Shop::new(100);
        let (one, two) = (shop.seller("one"), shop.seller("two"));
        assert_eq!(shop.one(charges(two, 0..36)), Ok(()));
        assert_eq!(shop.one(charges(one, 0..40)), Ok(()));
        assert_eq!(shop.one(charges(one, 0..45)), Ok(()), "40 known ones and 5 new ones, of a share of 50");
        let twice = [charges(one, 45..48), charges(one, 45..48)].concat();
        assert_eq!(shop.one(twice), Ok(()), "three keys, each twice in one request");
        // A request, and its repetitions that came before it was decided.
        let answers = shop.propose(&[charges(one, 48..50), charges(one, 48..50), charges(one, 30..50)]);
        assert_eq!(answers, [Ok(()), Ok(()), Ok(())]);
        let full = |new| Full::Share { held: 50, bound: 100, new, share: 50, sellers: 2 };
        assert_eq!(shop.one(charges(one, 0..51)), Err(full(1)));
        assert_eq!(shop.one([charges(one, 50..52), charges(one, 50..52)].concat()), Err(full(2)));
        assert_eq!(shop.one(charges(one, 0..50)), Ok(()));
        // The bound of all is counted in the same way, and one seller's key is not another's.
        let answers = shop.propose(&[charges(two, 36..50), charges(two, 0..50), charges(ADMIN, 0..1)]);
        assert_eq!(answers, [Ok(()), Ok(()), Err(Full::Memory)]);
    }

    #[test]
    fn a_seller_alone_may_use_all_and_a_large_group_leaves_room_for_others() {
        let mut shop = Shop::new(100);
        let alone = shop.seller("alone");
        assert_eq!(shop.one(charges(alone, 0..100)), Ok(()));
        let mut shop = Shop::new(100);
        let (one, two) = (shop.seller("one"), shop.seller("two"));
        assert_eq!(shop.one(charges(two, 0..1)), Ok(()));
        assert!(
            matches!(shop.one(charges(one, 0..95)), Err(Full::Share { .. })),
            "it would take the others' last quarter"
        );
        assert_eq!(shop.one(charges(one, 0..80)), Ok(()), "less than three quarters were in use");
        assert!(matches!(shop.one(charges(one, 80..81)), Err(Full::Share { .. })));
    }

    #[test]
    fn a_new_seller_has_a_share_and_an_admin_needs_none() {
        let mut shop = Shop::new(100);
        let (one, two) = (shop.seller("one"), shop.seller("two"));
        assert_eq!(shop.one(charges(ADMIN, 0..80)), Ok(()));
        assert_eq!(shop.one(charges(one, 0..10)), Ok(()));
        assert_eq!(shop.one(charges(two, 0..5)), Ok(()));
        assert_eq!(shop.one(charges(ADMIN, 80..85)), Ok(()));
        assert_eq!(shop.one(charges(ADMIN, 85..86)), Err(Full::Memory));
    }
}
