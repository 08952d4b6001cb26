//! Who may have what decided: API keys with their grants, and suspended sellers, as the records before tell.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;

use super::promise::{Findings, Place, Promise};
use crate::command::{Action, Grant, SellerStatus};
use crate::folded_name::FoldedName;
use crate::ids::{KeyNumber, RecordNumber, SYSTEM_ACTOR};
use crate::record::{Event, Record};
use crate::text::Name;

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub(super) struct Actors {
    rules: u32,
    keys: BTreeMap<KeyNumber, Key>,
    suspended: BTreeSet<RecordNumber>,
}

#[derive(Debug, Clone)]
struct Key {
    name: Name,
    /// What is compared of the name.
    folded: FoldedName,
    grant: Grant,
    revoked: bool,
}

impl Actors {
    /// Whether the record's actor could have it decided there.
    pub(super) fn check(&self, record: &Record, place: Place, findings: &mut Findings) {
        let fault = match self.needed(record) {
            Needed::System if record.actor == SYSTEM_ACTOR => return,
            Needed::System => "is not the cluster itself",
            Needed::Grant(needed) => match self.keys.get(&record.actor) {
                None => "is no API key",
                Some(key) if key.revoked => "is revoked",
                Some(key) if key.grant != needed => "may not do this",
                Some(_) if self.is_suspended(record) => "is of a suspended seller",
                Some(_) => return,
            },
            Needed::AnySeller => match self.keys.get(&record.actor) {
                None => "is no API key",
                Some(key) if key.revoked => "is revoked",
                Some(Key { grant: Grant::Seller(_), .. }) => return,
                Some(_) => "may not do this",
            },
        };
        findings.broken(Promise::Authorised, place, || {
            format!("record {} was decided for actor {}, which {fault}", record.number, record.actor)
        });
    }

    fn needed(&self, record: &Record) -> Needed {
        match &record.event {
            Event::Genesis(_) | Event::NodeRegistered { .. } => Needed::System,
            Event::CreditRequested { seller, .. } | Event::Charged { seller, .. } => {
                Needed::Grant(Grant::Seller(*seller))
            }
            Event::SellerCreated { .. }
            | Event::SellerStatusSet { .. }
            | Event::KeyCreated { .. }
            | Event::KeyRevoked { .. }
            | Event::CreditApproved { .. }
            | Event::CreditRejected { .. }
            | Event::Adjusted { .. }
            | Event::Reversed { .. } => Needed::Grant(Grant::Admin),
            Event::Refused { action, .. } => match action {
                Action::RequestCredit { .. } | Action::Charge { .. } => Needed::AnySeller,
                Action::CreateSeller { .. }
                | Action::SetSellerStatus { .. }
                | Action::CreateKey { .. }
                | Action::RevokeKey { .. }
                | Action::DecideCredit { .. }
                | Action::Adjust { .. }
                | Action::Reverse { .. } => Needed::Grant(Grant::Admin),
                Action::Genesis(_) | Action::RegisterNode { .. } => Needed::System,
            },
        }
    }

    fn is_suspended(&self, record: &Record) -> bool {
        match &record.event {
            Event::CreditRequested { seller, .. } | Event::Charged { seller, .. } => self.suspended.contains(seller),
            Event::Genesis(_)
            | Event::SellerCreated { .. }
            | Event::SellerStatusSet { .. }
            | Event::KeyCreated { .. }
            | Event::KeyRevoked { .. }
            | Event::CreditApproved { .. }
            | Event::CreditRejected { .. }
            | Event::Adjusted { .. }
            | Event::Reversed { .. }
            | Event::Refused { .. }
            | Event::NodeRegistered { .. } => false,
        }
    }

    /// Takes in what the record changes of keys and sellers.
    pub(super) fn learn(&mut self, record: &Record) {
        match &record.event {
            Event::Genesis(genesis) => {
                self.rules = genesis.rules;
                if let Ok(name) = Name::new("admin") {
                    self.add(record.number, &name, Grant::Admin);
                }
            }
            Event::KeyCreated { name, grant, .. } => self.add(record.number, name, *grant),
            Event::KeyRevoked { key } => {
                if let Some(key) = self.keys.get_mut(key) {
                    key.revoked = true;
                }
            }
            Event::SellerStatusSet { seller, status, .. } => {
                match status {
                    SellerStatus::Suspended => self.suspended.insert(*seller),
                    SellerStatus::Active => self.suspended.remove(seller),
                };
            }
            Event::SellerCreated { .. }
            | Event::CreditRequested { .. }
            | Event::CreditApproved { .. }
            | Event::CreditRejected { .. }
            | Event::Adjusted { .. }
            | Event::Charged { .. }
            | Event::Reversed { .. }
            | Event::Refused { .. }
            | Event::NodeRegistered { .. } => {}
        }
    }

    fn add(&mut self, number: KeyNumber, name: &Name, grant: Grant) {
        let folded = FoldedName::under(self.rules, name);
        self.keys.insert(number, Key { name: name.clone(), folded, grant, revoked: false });
    }

    /// The name under which an actor stands in the journal.
    pub(super) fn name(&self, actor: KeyNumber) -> &str {
        if actor == SYSTEM_ACTOR {
            return "etebar";
        }
        self.keys.get(&actor).map_or("", |key| key.name.as_str())
    }

    /// Whose idempotency keys this actor's are; `None` for the cluster itself.
    pub(super) fn scope(&self, actor: KeyNumber) -> Option<(Grant, &FoldedName)> {
        self.keys.get(&actor).map(|key| (key.grant, &key.folded))
    }
}

/// What a record's actor has to be.
enum Needed {
    System,
    Grant(Grant),
    /// A refusal does not tell of which seller it was.
    AnySeller,
}
