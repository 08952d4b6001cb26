//! How HTTP must show the records of a history: written a second time, apart from the node's code.

use std::collections::HashMap;

use etebar::api::{self, AmountOut, Code, EntryKind, RequestStatus, Timestamp};
use ledger::{
    Adjusted, ApiKeyNumber, Charged, CreditApproved, CreditRejected, CreditRequested, Digest, EntryChain, Event,
    IdKind, Note, Record, RecordNumber, Reference, Refusal, Rejection, RequestShown, Reversed, State, Verdict,
};
use uuid::Uuid;

use crate::history::http_response::{CommandResult, Resource, ids};

/// The records of a whole history, found by what HTTP shows of them.
pub struct HttpModel<'a> {
    records: &'a [Record],
    verdicts: HashMap<RecordNumber, &'a Record>,
    /// The record of each entry, and the chain's digest with it.
    entries: HashMap<u64, (&'a Record, Digest)>,
    names: HashMap<ApiKeyNumber, String>,
}

impl<'a> HttpModel<'a> {
    /// All of a history, in order.
    pub fn new(records: &'a [Record]) -> Self {
        let mut state = State::new(ledger::TableSeed([1, 2]));
        for record in records {
            state.apply(record);
        }
        let mut library = Self { records, verdicts: HashMap::new(), entries: HashMap::new(), names: HashMap::new() };
        let mut chain = EntryChain::default();
        for record in records {
            if let Some(key) = state.api_key(record.number) {
                library.names.insert(key.number, key.name.as_str().to_owned());
            }
            let actor = library.names.get(&record.actor).cloned().unwrap_or_default();
            if let Some(entry) = record.entry(&ids(), &actor) {
                chain.push(state.ledger_id(), &entry);
                library.entries.insert(entry.number, (record, chain.digest()));
            }
            if let Event::CreditApproved(CreditApproved { request, .. })
            | Event::CreditRejected(CreditRejected { request, .. }) = &record.event
            {
                library.verdicts.insert(request.number, record);
            }
        }
        library
    }

    /// The record that was shown. An error where there is none, or where it is another.
    pub fn record_of(&self, resource: &Resource) -> Result<&'a Record, String> {
        let of_number = |number: Option<RecordNumber>| self.records.get(number? as usize - 1);
        let found = match resource {
            Resource::Charge(_) => of_number(resource.number()),
            Resource::CreditRequest(request) if request.status == RequestStatus::Pending => {
                of_number(resource.number())
            }
            Resource::CreditRequest(request) => {
                ids().number(IdKind::CreditRequest, request.id).and_then(|number| self.verdicts.get(&number).copied())
            }
            Resource::Entry(entry) => self.entries.get(&entry.entry).map(|(record, _)| *record),
        };
        let Some(record) = found else { return Err(format!("{resource:?} was acknowledged, and is lost")) };
        match self.resource_of(record) {
            Some(expected) if expected == *resource => Ok(record),
            expected => Err(format!("{resource:?} was acknowledged, and is {expected:?}")),
        }
    }

    /// How HTTP shows a record.
    fn resource_of(&self, record: &Record) -> Option<Resource> {
        match &record.event {
            Event::Charged(charged) => Some(Resource::Charge(charge_of(record, charged))),
            Event::CreditRequested(filed) => Some(Resource::CreditRequest(pending(record, filed))),
            Event::CreditRequestedFor(filed) => Some(Resource::CreditRequest(pending(record, &filed.request))),
            Event::CreditApproved(CreditApproved { request, reason, .. }) => {
                self.decided(record, request, reason, RequestStatus::Approved)
            }
            Event::CreditRejected(CreditRejected { request, reason }) => {
                self.decided(record, request, reason, RequestStatus::Rejected)
            }
            Event::Adjusted(adjusted) => self.adjustment(record, adjusted),
            Event::Reversed(reversed) => self.reversal(record, reversed),
            Event::Genesis(_)
            | Event::SellerCreated(_)
            | Event::SellerStatusSet(_)
            | Event::KeyCreated(_)
            | Event::KeyRevoked(_)
            | Event::Refused(_)
            | Event::NodeRegistered(_)
            | Event::RulesRaised(_)
            | Event::NodeAdded(_)
            | Event::NodePromoted(_)
            | Event::NodeRemoved(_)
            | Event::EpochBegun(_)
            | Event::LedgerOpened(_)
            | Event::BackupNoted(_)
            | Event::ExpiringKeyCreated(_)
            | Event::KeyRotated(_)
            | Event::PolicySet(_) => None,
        }
    }

    fn decided(
        &self,
        record: &Record,
        request: &RequestShown,
        reason: &Note,
        status: RequestStatus,
    ) -> Option<Resource> {
        Some(Resource::CreditRequest(api::CreditRequest {
            id: ids().uuid(IdKind::CreditRequest, request.number),
            seller_id: seller_id(request.seller),
            amount: money(request.amount.minor()),
            note: optional(&request.note),
            reference: reference(request.reference.as_ref()),
            status,
            created_at: Timestamp(request.created_at.0),
            decided_at: Some(Timestamp(record.time.0)),
            decided_by: Some(self.names.get(&record.actor)?.clone()),
            reason: optional(reason),
        }))
    }

    fn adjustment(&self, record: &Record, adjusted: &Adjusted) -> Option<Resource> {
        let Adjusted { seller, amount, entry, balance, .. } = adjusted;
        let (own, treasury) = (format!("seller:{}", seller_id(*seller)), "treasury".to_owned());
        let (debit, credit) = if amount.minor() > 0 { (treasury, own) } else { (own, treasury) };
        Some(Resource::Entry(api::Entry {
            entry: *entry,
            record: record.number,
            created_at: Timestamp(record.time.0),
            kind: EntryKind::Adjustment,
            seller_id: seller_id(*seller),
            amount: money(amount.minor()),
            balance: money(balance.minor()),
            debit,
            credit,
            reference: ids().uuid(IdKind::Adjustment, record.number),
            phone: None,
            actor: self.names.get(&record.actor)?.clone(),
            caller_reference: None,
            digest: self.entries.get(entry)?.1.to_string(),
        }))
    }

    fn reversal(&self, record: &Record, reversed: &Reversed) -> Option<Resource> {
        let Reversed { charge, seller, phone, amount, entry, balance, .. } = reversed;
        Some(Resource::Entry(api::Entry {
            entry: *entry,
            record: record.number,
            created_at: Timestamp(record.time.0),
            kind: EntryKind::Reversal,
            seller_id: seller_id(*seller),
            amount: money(amount.minor()),
            balance: money(balance.minor()),
            debit: format!("phone:+{}", phone.digits()),
            credit: format!("seller:{}", seller_id(*seller)),
            reference: ids().uuid(IdKind::Charge, *charge),
            phone: Some(format!("+{}", phone.digits())),
            actor: self.names.get(&record.actor)?.clone(),
            caller_reference: None,
            digest: self.entries.get(entry)?.1.to_string(),
        }))
    }
}

fn charge_of(record: &Record, charged: &Charged) -> api::Charge {
    let Charged { seller, phone, amount, entry, balance, reference: given, .. } = charged;
    api::Charge {
        id: ids().uuid(IdKind::Charge, record.number),
        entry: *entry,
        seller_id: seller_id(*seller),
        phone: format!("+{}", phone.digits()),
        amount: money(amount.minor()),
        balance: money(balance.minor()),
        reference: reference(given.as_ref()),
        created_at: Timestamp(record.time.0),
    }
}

fn pending(record: &Record, filed: &CreditRequested) -> api::CreditRequest {
    api::CreditRequest {
        id: ids().uuid(IdKind::CreditRequest, record.number),
        seller_id: seller_id(filed.seller),
        amount: money(filed.amount.minor()),
        note: optional(&filed.note),
        reference: reference(filed.reference.as_ref()),
        status: RequestStatus::Pending,
        created_at: Timestamp(record.time.0),
        decided_at: None,
        decided_by: None,
        reason: None,
    }
}

fn seller_id(number: RecordNumber) -> Uuid {
    ids().uuid(IdKind::Seller, number)
}

fn money(minor: impl Into<i128>) -> AmountOut {
    AmountOut::new(minor, 0)
}

fn reference(given: Option<&Reference>) -> Option<String> {
    given.map(|given| given.as_str().to_owned())
}

fn optional(note: &Note) -> Option<String> {
    Some(note.as_str().to_owned()).filter(|text| !text.is_empty())
}

/// How HTTP reports a refusal that left no record.
pub fn rejection_result(rejection: Rejection) -> Option<CommandResult> {
    let code = match rejection {
        Rejection::KeyRevoked | Rejection::KeyExpired => Code::Unauthenticated,
        Rejection::Forbidden | Rejection::OverLimit | Rejection::FourEyes => Code::Forbidden,
        Rejection::UnknownSeller | Rejection::UnknownKey | Rejection::UnknownRequest | Rejection::UnknownCharge => {
            Code::NotFound
        }
        Rejection::KeyReused => Code::IdempotencyKeyReused,
        Rejection::Conflict(refusal) => return Some(refusal_result(refusal)),
        Rejection::OutOfPlace
        | Rejection::Inconsistent
        | Rejection::SecretTaken
        | Rejection::Malformed
        | Rejection::UnknownRules
        | Rejection::NotYet
        | Rejection::UnknownNode
        | Rejection::OnHold => {
            return None;
        }
    };
    Some(CommandResult::Refused { code, balance: None })
}

/// How HTTP reports a refusal by the state.
pub fn refusal_result(refusal: Refusal) -> CommandResult {
    let (code, balance) = match refusal {
        Refusal::InsufficientCredit { balance } => (Code::InsufficientCredit, Some(i128::from(balance.minor()))),
        Refusal::SellerSuspended => (Code::SellerSuspended, None),
        Refusal::RequestDecided { verdict: Verdict::Approved | Verdict::Rejected } => {
            (Code::CreditRequestDecided, None)
        }
        Refusal::ChargeReversed => (Code::ChargeReversed, None),
        Refusal::LimitExceeded => (Code::LimitExceeded, None),
        Refusal::NameTaken => (Code::NameTaken, None),
        Refusal::LastAdminKey => (Code::LastAdminKey, None),
        Refusal::AddressTaken => (Code::AddressTaken, None),
    };
    CommandResult::Refused { code, balance }
}
