//! The rights of actors: API keys with their grants, suspended sellers, and the rules, as of the records before.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::promise::{FaultAt, Findings, Promise};
use crate::commands::kind::RequiredRole;
use crate::commands::{CreditApproved, CreditRejected, Event};
use crate::record::Record;
use crate::state::api_key::Grant;
use crate::state::policy::Policy;
use crate::state::seller::SellerStatus;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{ApiKeyNumber, RecordNumber, SYSTEM_ACTOR, SYSTEM_NAME, Time};
use crate::values::text::Name;

/// See the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Actors {
    rules: u32,
    keys: BTreeMap<ApiKeyNumber, Key>,
    suspended: BTreeSet<RecordNumber>,
    policy: Policy,
    /// Who filed the credit requests that sellers did not file themselves and that have no verdict yet.
    filed: BTreeMap<RecordNumber, ApiKeyNumber>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    name: Name,
    /// The name as people see it.
    folded: FoldedName,
    grant: Grant,
    revoked: bool,
    /// The first instant at which it is refused.
    expires_at: Option<Time>,
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
        if key.expires_at.is_some_and(|end| end <= record.time) {
            return Some("has expired");
        }
        match (role, key.grant) {
            (RequiredRole::Admin | RequiredRole::Approver | RequiredRole::Operator, Grant::Admin)
            | (RequiredRole::Approver, Grant::Approver { .. })
            | (RequiredRole::Operator, Grant::Operator) => self.policy_fault(record, key),
            (RequiredRole::Seller, Grant::Seller(acting)) => match record.seller() {
                Some(seller) if seller != acting => Some("may not do this"),
                Some(seller) => self.suspended.contains(&seller).then_some("is of a suspended seller"),
                // A refusal does not say of which seller it was.
                None => None,
            },
            (
                RequiredRole::System
                | RequiredRole::Admin
                | RequiredRole::Approver
                | RequiredRole::Operator
                | RequiredRole::Seller,
                Grant::Admin | Grant::Auditor | Grant::Approver { .. } | Grant::Operator | Grant::Seller(_),
            ) => Some("may not do this"),
        }
    }

    /// What forbids this to a key that may do such things: its limit, four eyes, a suspended seller.
    fn policy_fault(&self, record: &Record, key: &Key) -> Option<&'static str> {
        if let Event::CreditApproved(approved) = &record.event {
            if matches!(key.grant, Grant::Approver { limit: Some(limit) } if approved.request.amount > limit) {
                return Some("may not approve so much");
            }
            let asker = self.filed.get(&approved.request.number).and_then(|asker| self.keys.get(asker));
            let is_asker = asker.is_some_and(|asker| asker.folded == key.folded);
            return (self.policy.four_eyes && is_asker).then_some("asked for it, and may not approve it");
        }
        if let Event::Adjusted(adjusted) = &record.event {
            return (self.policy.four_eyes && adjusted.amount.minor() > 0).then_some("may not add credit alone");
        }
        if let Event::CreditRequestedFor(filed) = &record.event {
            return self.suspended.contains(&filed.request.seller).then_some("asks for a suspended seller");
        }
        None
    }

    /// Takes in what the record changes of keys and sellers.
    pub(super) fn learn(&mut self, record: &Record) {
        if let Event::Genesis(genesis) = &record.event {
            self.rules = genesis.rules;
            if let Ok(name) = Name::new("admin") {
                self.add(record.number, &name, Grant::Admin, None);
            }
        } else if let Event::RulesRaised(raised) = &record.event {
            self.rules = raised.to;
        } else if let Event::EpochBegun(begun) = &record.event {
            self.rules = begun.rules;
            if let Some(key) = &begun.admin_key {
                self.add(record.number, &key.name, Grant::Admin, None);
            }
        } else if let Event::KeyCreated(made) = &record.event {
            self.add(record.number, &made.name, made.grant, None);
        } else if let Event::ExpiringKeyCreated(made) = &record.event {
            self.add(record.number, &made.key.name, made.key.grant, Some(made.expires_at));
        } else if let Event::KeyRotated(rotated) = &record.event {
            self.add(record.number, &rotated.name, rotated.grant, rotated.expires_at);
            if let Some(old) = self.keys.get_mut(&rotated.old) {
                old.expires_at = Some(rotated.old_expires_at);
            }
        } else if let Event::PolicySet(set) = &record.event {
            self.policy = set.policy;
        } else if let Event::CreditRequestedFor(_) = &record.event {
            self.filed.insert(record.number, record.actor);
        } else if let Event::CreditApproved(CreditApproved { request, .. })
        | Event::CreditRejected(CreditRejected { request, .. }) = &record.event
        {
            self.filed.remove(&request.number);
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

    fn add(&mut self, number: ApiKeyNumber, name: &Name, grant: Grant, expires_at: Option<Time>) {
        let folded = FoldedName::of(name);
        self.keys.insert(number, Key { name: name.clone(), folded, grant, revoked: false, expires_at });
    }

    /// The name under which an actor stands in the journal.
    pub(super) fn name(&self, actor: ApiKeyNumber) -> &str {
        if actor == SYSTEM_ACTOR {
            return SYSTEM_NAME;
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
        self.keys.insert(number, Key { name, folded, grant, revoked, expires_at: None });
    }

    /// The ends of API keys, in the order of their numbers.
    pub(super) fn ends(&self) -> impl Iterator<Item = (ApiKeyNumber, Time)> + '_ {
        self.keys.iter().filter_map(|(number, key)| Some((*number, key.expires_at?)))
    }

    /// Takes ends of an image, whose API keys it has.
    pub(super) fn put_ends(&mut self, ends: Vec<(ApiKeyNumber, Time)>) {
        for (number, end) in ends {
            if let Some(key) = self.keys.get_mut(&number) {
                key.expires_at = Some(end);
            }
        }
    }

    /// The policy of the back office.
    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// Takes the policy of an image.
    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Who filed the pending requests that sellers did not file themselves.
    pub(super) fn filed(&self) -> impl Iterator<Item = (RecordNumber, ApiKeyNumber)> + '_ {
        self.filed.iter().map(|(request, asker)| (*request, *asker))
    }

    /// Takes such requests of an image.
    pub(super) fn put_filed(&mut self, filed: Vec<(RecordNumber, ApiKeyNumber)>) {
        self.filed.extend(filed);
    }

    /// Takes suspended sellers of an image.
    pub(super) fn put_suspended(&mut self, sellers: Vec<RecordNumber>) {
        self.suspended.extend(sellers);
    }
}
