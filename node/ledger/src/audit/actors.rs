//! The rights of actors: API keys with their grants, suspended sellers, and the rules, as of the records before.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::promise::{FaultAt, Findings, Promise};
use crate::commands::Event;
use crate::commands::kind::RequiredRole;
use crate::record::Record;
use crate::state::api_key::Grant;
use crate::state::seller::SellerStatus;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{ApiKeyNumber, RecordNumber, SYSTEM_ACTOR};
use crate::values::text::Name;

/// See the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Actors {
    rules: u32,
    keys: BTreeMap<ApiKeyNumber, Key>,
    suspended: BTreeSet<RecordNumber>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    name: Name,
    /// The name as people see it.
    folded: FoldedName,
    grant: Grant,
    revoked: bool,
}

impl Actors {
    /// Whether the record's actor could have it decided there.
    pub(super) fn check(&self, record: &Record, place: FaultAt, findings: &mut Findings) {
        let Some(fault) = self.fault(record) else { return };
        findings.broken(Promise::Authorised, place, || {
            format!("record {} was decided for actor {}, which {fault}", record.number, record.actor)
        });
    }

    fn fault(&self, record: &Record) -> Option<&'static str> {
        let role = record.event.kind().role();
        if role == RequiredRole::System {
            if record.actor != SYSTEM_ACTOR {
                return Some("is not the cluster itself");
            }
            let lowers = match &record.event {
                Event::RulesRaised(raised) => raised.to <= self.rules,
                Event::EpochBegun(begun) => begun.rules < self.rules,
                _ => false,
            };
            return lowers.then_some("may only raise the rules");
        }
        let Some(key) = self.keys.get(&record.actor) else { return Some("is no API key") };
        if key.revoked {
            return Some("is revoked");
        }
        match (role, key.grant) {
            (RequiredRole::Admin, Grant::Admin) => None,
            (RequiredRole::Seller, Grant::Seller(acting)) => match record.seller() {
                Some(seller) if seller != acting => Some("may not do this"),
                Some(seller) => self.suspended.contains(&seller).then_some("is of a suspended seller"),
                // A refusal does not say of which seller it was.
                None => None,
            },
            (
                RequiredRole::System | RequiredRole::Admin | RequiredRole::Seller,
                Grant::Admin | Grant::Auditor | Grant::Seller(_),
            ) => Some("may not do this"),
        }
    }

    /// Takes in what the record changes of keys and sellers.
    pub(super) fn learn(&mut self, record: &Record) {
        if let Event::Genesis(genesis) = &record.event {
            self.rules = genesis.rules;
            if let Ok(name) = Name::new("admin") {
                self.add(record.number, &name, Grant::Admin);
            }
        } else if let Event::RulesRaised(raised) = &record.event {
            self.rules = raised.to;
        } else if let Event::EpochBegun(begun) = &record.event {
            self.rules = begun.rules;
            if let Some(key) = &begun.admin_key {
                self.add(record.number, &key.name, Grant::Admin);
            }
        } else if let Event::KeyCreated(made) = &record.event {
            self.add(record.number, &made.name, made.grant);
        } else if let Event::KeyRevoked(revoked) = &record.event {
            if let Some(key) = self.keys.get_mut(&revoked.key) {
                key.revoked = true;
            }
        } else if let Event::SellerStatusSet(set) = &record.event {
            match set.status {
                SellerStatus::Suspended => self.suspended.insert(set.seller),
                SellerStatus::Active => self.suspended.remove(&set.seller),
            };
        }
    }

    fn add(&mut self, number: ApiKeyNumber, name: &Name, grant: Grant) {
        let folded = FoldedName::of(name);
        self.keys.insert(number, Key { name: name.clone(), folded, grant, revoked: false });
    }

    /// The name under which an actor stands in the journal.
    pub(super) fn name(&self, actor: ApiKeyNumber) -> &str {
        if actor == SYSTEM_ACTOR {
            return "etebar";
        }
        self.keys.get(&actor).map_or("", |key| key.name.as_str())
    }

    /// Whose idempotency keys this actor's are; `None` for the cluster itself.
    pub(super) fn scope(&self, actor: ApiKeyNumber) -> Option<(Grant, &FoldedName)> {
        self.keys.get(&actor).map(|key| (key.grant, &key.folded))
    }
}

/// An API key as an image holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ActorPart {
    number: ApiKeyNumber,
    name: Name,
    grant: Grant,
    revoked: bool,
}

/// To and from an image.
impl Actors {
    /// The version of the rules.
    pub(super) fn rules(&self) -> u32 {
        self.rules
    }

    /// All API keys, in the order of their numbers.
    pub(super) fn parts(&self) -> impl Iterator<Item = ActorPart> + '_ {
        let part = |(number, key): (&ApiKeyNumber, &Key)| ActorPart {
            number: *number,
            name: key.name.clone(),
            grant: key.grant,
            revoked: key.revoked,
        };
        self.keys.iter().map(part)
    }

    /// The sellers that are suspended, in the order of their numbers.
    pub(super) fn suspended(&self) -> impl Iterator<Item = RecordNumber> + '_ {
        self.suspended.iter().copied()
    }

    /// Takes the rules of an image.
    pub(super) fn set_rules(&mut self, rules: u32) {
        self.rules = rules;
    }

    /// Takes an API key of an image.
    pub(super) fn put(&mut self, part: ActorPart) {
        let ActorPart { number, name, grant, revoked } = part;
        let folded = FoldedName::of(&name);
        self.keys.insert(number, Key { name, folded, grant, revoked });
    }

    /// Takes suspended sellers of an image.
    pub(super) fn put_suspended(&mut self, sellers: Vec<RecordNumber>) {
        self.suspended.extend(sellers);
    }
}
