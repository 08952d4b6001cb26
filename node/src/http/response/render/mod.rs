//! How the ledger's records are rendered as JSON. Decisions are rendered from their records alone.
//!
//! Invariant: under one version of the rules the same record gives the same bytes, on every node, permanently; golden
//! tests fix fields, order and wording. New wording applies to records made under new rules only.

mod act;
mod charge;
mod decisions;
mod entry;
mod refusal;
#[cfg(test)]
mod tests;

pub(crate) use act::act;
pub(crate) use charge::ChargeWriter;
pub(crate) use decisions::{Rendered, credit_request, credit_request_decided, decision, entry_made, verdict};
pub(crate) use entry::entry;
pub(crate) use refusal::refusal;

use etebar_api as api;
use etebar_api::{AmountOut, Timestamp};
use ledger::{ApiKey, Grant, IdKind, IdSpace, Name, Note, RecordNumber, Reference, Seller, Time};
use uuid::Uuid;

/// What the genesis fixed, as far as answers show it.
#[derive(Debug, Clone)]
pub struct LedgerInfo {
    /// Translates record numbers to ids.
    pub ids: IdSpace,
    /// Decimals of an amount.
    pub decimals: u32,
}

impl LedgerInfo {
    /// Minor units as an answer shows them.
    pub fn amount(&self, minor: impl Into<i128>) -> AmountOut {
        AmountOut::new(minor, self.decimals)
    }

    /// A seller's id.
    pub fn seller_id(&self, number: RecordNumber) -> Uuid {
        self.ids.uuid(IdKind::Seller, number)
    }

    /// A seller as it is now.
    pub fn seller(&self, seller: &Seller) -> api::Seller {
        api::Seller {
            id: seller.id,
            name: seller.name.as_str().to_owned(),
            status: status(seller.status),
            balance: self.amount(seller.balance.signed()),
            created_at: timestamp(seller.created_at),
        }
    }

    /// A key as lists show it: without its secret.
    pub fn key(&self, key: &ApiKey) -> api::Key {
        self.key_made(key.number, &key.name, key.grant, (key.created_at, key.expires_at))
    }

    /// A key that record `number` made at a time, with its end, if any: without its secret.
    fn key_made(
        &self,
        number: RecordNumber,
        name: &Name,
        grant: Grant,
        (created_at, expires_at): (Time, Option<Time>),
    ) -> api::Key {
        let (role, seller) = role(grant);
        let limit = match grant {
            Grant::Approver { limit } => limit,
            Grant::Admin | Grant::Auditor | Grant::Operator | Grant::Seller(_) => None,
        };
        api::Key {
            id: self.ids.uuid(IdKind::Key, number),
            role,
            name: name.as_str().to_owned(),
            seller_id: seller.map(|number| self.seller_id(number)),
            key: None,
            created_at: timestamp(created_at),
            limit: limit.map(|limit| self.amount(limit.plus())),
            expires_at: expires_at.map(timestamp),
        }
    }
}

/// Ledger time as an answer shows it.
pub(crate) fn timestamp(time: Time) -> Timestamp {
    Timestamp(time.0)
}

/// A note as an answer shows it: one that was not given is `null`.
pub(crate) fn note(note: &Note) -> Option<String> {
    Some(note.as_str().to_owned()).filter(|text| !text.is_empty())
}

/// A reference as an answer shows it: one that was not given is `null`.
pub(crate) fn text_of(reference: Option<&Reference>) -> Option<String> {
    reference.map(|reference| reference.as_str().to_owned())
}

/// A grant's role, and the seller of a seller's key.
pub(crate) fn role(grant: Grant) -> (api::Role, Option<RecordNumber>) {
    match grant {
        Grant::Admin => (api::Role::Admin, None),
        Grant::Auditor => (api::Role::Auditor, None),
        Grant::Seller(seller) => (api::Role::Seller, Some(seller)),
        Grant::Approver { .. } => (api::Role::Approver, None),
        Grant::Operator => (api::Role::Operator, None),
    }
}

fn status(status: ledger::SellerStatus) -> api::SellerStatus {
    match status {
        ledger::SellerStatus::Active => api::SellerStatus::Active,
        ledger::SellerStatus::Suspended => api::SellerStatus::Suspended,
    }
}
