//! What HTTP showed of decisions, and the records that it must have been shown of: written a second time, by other code.

use std::collections::HashMap;

use etebar::api::{self, AmountOut, Code, EntryKind, RequestStatus, Timestamp};
use ledger::{
    Adjusted, Charged, CreditApproved, CreditRejected, CreditRequested, Digest, Event, IdKind, IdSpace, KeyNumber,
    Note, Record, RecordNumber, Refusal, Rejection, Reversed, State, Verdict, chain_entry,
};
use uuid::Uuid;

use crate::host::CLUSTER;

/// The answer to a wish over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The position that it reflects; a refusal of the whole comes without.
    pub position: Option<u64>,
    /// What became of each command, in order.
    pub told: Vec<Told>,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was done, now or before.
    Done { thing: Box<Thing>, replayed: bool },
    /// It was refused, with the seller's balance where that did not suffice.
    Refused { code: Code, balance: Option<i128> },
}

/// What was shown of something done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A charge.
    Charge(api::Charge),
    /// A credit request, filed or decided.
    Request(api::CreditRequest),
    /// An adjustment or a reversal.
    Entry(api::Entry),
}

/// The ids of every simulated cluster.
pub fn ids() -> IdSpace {
    IdSpace::new(Uuid::from_u128(CLUSTER))
}

impl Told {
    /// The record that it shows, as far as its ids tell.
    pub fn number(&self) -> Option<RecordNumber> {
        match self {
            Self::Done { thing, .. } => thing.number(),
            Self::Refused { .. } => None,
        }
    }

    /// Whether this certainly had no effect, and left no record either. A key that stands for another command may have stood for
    /// this one before its window ended, in an attempt that was not answered.
    pub fn left_nothing(&self) -> bool {
        let Self::Refused { code, .. } = self else { return false };
        matches!(code, Code::Unauthenticated | Code::Forbidden | Code::NotFound)
    }
}

impl Thing {
    /// The record that it shows, as far as its ids tell.
    pub fn number(&self) -> Option<RecordNumber> {
        match self {
            Self::Charge(charge) => ids().number(IdKind::Charge, charge.id),
            Self::Request(request) if request.status == RequestStatus::Pending => {
                ids().number(IdKind::CreditRequest, request.id)
            }
            Self::Entry(entry) if entry.kind == EntryKind::Adjustment => {
                ids().number(IdKind::Adjustment, entry.reference)
            }
            Self::Request(_) | Self::Entry(_) => None,
        }
    }
}

/// The records of a whole history, to be found by what was shown of them.
pub struct Library<'a> {
    records: &'a [Record],
    verdicts: HashMap<RecordNumber, &'a Record>,
    /// The record of each entry, and the chain's digest with it.
    entries: HashMap<u64, (&'a Record, Digest)>,
    names: HashMap<KeyNumber, String>,
}

impl<'a> Library<'a> {
    /// All of a history, in order.
    pub fn new(records: &'a [Record]) -> Self {
        let mut state = State::new();
        records.iter().for_each(|record| state.apply(record));
        let mut library = Self { records, verdicts: HashMap::new(), entries: HashMap::new(), names: HashMap::new() };
        let mut digest = Digest::ZERO;
        for record in records {
            if let Some(key) = state.api_key(record.number) {
                library.names.insert(key.number, key.name.as_str().to_owned());
            }
            let actor = library.names.get(&record.actor).cloned().unwrap_or_default();
            if let Some(entry) = record.entry(&ids(), &actor) {
                digest = chain_entry(&digest, &entry);
                library.entries.insert(entry.number, (record, digest));
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
    pub fn record_of(&self, thing: &Thing) -> Result<&'a Record, String> {
        let of_number = |number: Option<RecordNumber>| self.records.get(number? as usize - 1);
        let found = match thing {
            Thing::Charge(_) => of_number(thing.number()),
            Thing::Request(request) if request.status == RequestStatus::Pending => of_number(thing.number()),
            Thing::Request(request) => {
                ids().number(IdKind::CreditRequest, request.id).and_then(|number| self.verdicts.get(&number).copied())
            }
            Thing::Entry(entry) => self.entries.get(&entry.entry).map(|(record, _)| *record),
        };
        let Some(record) = found else { return Err(format!("{thing:?} was acknowledged, and is lost")) };
        match self.as_shown(record) {
            Some(expected) if expected == *thing => Ok(record),
            expected => Err(format!("{thing:?} was acknowledged, and is {expected:?}")),
        }
    }

    /// How HTTP shows a record.
    fn as_shown(&self, record: &Record) -> Option<Thing> {
        let moment = Timestamp(record.time.0);
        let seller_id = |number: RecordNumber| ids().uuid(IdKind::Seller, number);
        let actor = self.names.get(&record.actor)?;
        Some(match &record.event {
            Event::Charged(Charged { seller, phone, amount, entry, balance }) => Thing::Charge(api::Charge {
                id: ids().uuid(IdKind::Charge, record.number),
                entry: *entry,
                seller_id: seller_id(*seller),
                phone: format!("+{}", phone.digits()),
                amount: money(amount.minor()),
                balance: money(balance.minor()),
                created_at: moment,
            }),
            Event::CreditRequested(CreditRequested { seller, amount, note }) => Thing::Request(api::CreditRequest {
                id: ids().uuid(IdKind::CreditRequest, record.number),
                seller_id: seller_id(*seller),
                amount: money(amount.minor()),
                note: said(note),
                status: RequestStatus::Pending,
                created_at: moment,
                decided_at: None,
                decided_by: None,
                reason: None,
            }),
            Event::CreditApproved(CreditApproved { request, reason, .. })
            | Event::CreditRejected(CreditRejected { request, reason }) => {
                let is_approved = matches!(record.event, Event::CreditApproved(_));
                Thing::Request(api::CreditRequest {
                    id: ids().uuid(IdKind::CreditRequest, request.number),
                    seller_id: seller_id(request.seller),
                    amount: money(request.amount.minor()),
                    note: said(&request.note),
                    status: if is_approved { RequestStatus::Approved } else { RequestStatus::Rejected },
                    created_at: Timestamp(request.created_at.0),
                    decided_at: Some(moment),
                    decided_by: Some(actor.clone()),
                    reason: said(reason),
                })
            }
            Event::Adjusted(Adjusted { seller, amount, entry, balance, .. }) => {
                let own = format!("seller:{}", seller_id(*seller));
                let (debit, credit) =
                    if amount.minor() > 0 { ("treasury".to_owned(), own) } else { (own, "treasury".to_owned()) };
                Thing::Entry(api::Entry {
                    entry: *entry,
                    created_at: moment,
                    kind: EntryKind::Adjustment,
                    seller_id: seller_id(*seller),
                    amount: money(amount.minor()),
                    balance: money(balance.minor()),
                    debit,
                    credit,
                    reference: ids().uuid(IdKind::Adjustment, record.number),
                    phone: None,
                    actor: actor.clone(),
                    digest: self.entries.get(entry)?.1.to_string(),
                })
            }
            Event::Reversed(Reversed { charge, seller, phone, amount, entry, balance, .. }) => {
                Thing::Entry(api::Entry {
                    entry: *entry,
                    created_at: moment,
                    kind: EntryKind::Reversal,
                    seller_id: seller_id(*seller),
                    amount: money(amount.minor()),
                    balance: money(balance.minor()),
                    debit: format!("phone:+{}", phone.digits()),
                    credit: format!("seller:{}", seller_id(*seller)),
                    reference: ids().uuid(IdKind::Charge, *charge),
                    phone: Some(format!("+{}", phone.digits())),
                    actor: actor.clone(),
                    digest: self.entries.get(entry)?.1.to_string(),
                })
            }
            Event::Genesis(_)
            | Event::SellerCreated(_)
            | Event::SellerStatusSet(_)
            | Event::KeyCreated(_)
            | Event::KeyRevoked(_)
            | Event::Refused(_)
            | Event::NodeRegistered(_) => return None,
        })
    }
}

fn money(minor: impl Into<i128>) -> AmountOut {
    AmountOut::new(minor, 0)
}

fn said(note: &Note) -> Option<String> {
    Some(note.as_str().to_owned()).filter(|text| !text.is_empty())
}

/// How HTTP tells a refusal that left no record.
pub fn told(rejection: Rejection) -> Option<Told> {
    let code = match rejection {
        Rejection::KeyRevoked => Code::Unauthenticated,
        Rejection::Forbidden => Code::Forbidden,
        Rejection::UnknownSeller | Rejection::UnknownKey | Rejection::UnknownRequest | Rejection::UnknownCharge => {
            Code::NotFound
        }
        Rejection::KeyReused => Code::IdempotencyKeyReused,
        Rejection::Conflict(refusal) => return Some(told_of(refusal)),
        Rejection::OutOfPlace | Rejection::Inconsistent | Rejection::SecretTaken | Rejection::Malformed => {
            return None;
        }
    };
    Some(Told::Refused { code, balance: None })
}

/// How HTTP tells a refusal by the state.
pub fn told_of(refusal: Refusal) -> Told {
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
    };
    Told::Refused { code, balance }
}
