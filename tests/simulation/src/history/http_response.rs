//! The answers over HTTP, as the client library returns them.

use etebar::api::{self, Code, EntryKind, RequestStatus};
use ledger::{IdKind, IdSpace, RecordNumber};
use uuid::Uuid;

use crate::network::CLUSTER;

/// The answer to an operation over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The position that it reflects; the refusal of a whole request has none.
    pub position: Option<u64>,
    /// What became of each command, in order.
    pub results: Vec<CommandResult>,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandResult {
    /// It was done, now or before.
    Done { resource: Box<Resource>, replayed: bool },
    /// It was refused, with the seller's balance where that did not suffice.
    Refused { code: Code, balance: Option<i128> },
}

/// The resource that HTTP showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A charge.
    Charge(api::Charge),
    /// A credit request, filed or decided.
    CreditRequest(api::CreditRequest),
    /// An adjustment or a reversal.
    Entry(api::Entry),
}

/// The ids of every simulated cluster.
pub fn ids() -> IdSpace {
    IdSpace::new(Uuid::from_u128(CLUSTER), 1)
}

impl CommandResult {
    /// The record that it shows, as far as its ids show.
    pub fn number(&self) -> Option<RecordNumber> {
        match self {
            Self::Done { resource, .. } => resource.number(),
            Self::Refused { .. } => None,
        }
    }

    /// Whether this certainly had no effect, and left no record either. A key that stands for another command may have stood for
    /// this one before its window ended, in an attempt that was not answered.
    pub fn left_no_record(&self) -> bool {
        let Self::Refused { code, .. } = self else { return false };
        matches!(code, Code::Unauthenticated | Code::Forbidden | Code::NotFound)
    }
}

impl Resource {
    /// The record that it shows, as far as its ids show.
    pub fn number(&self) -> Option<RecordNumber> {
        match self {
            Self::Charge(charge) => ids().number(IdKind::Charge, charge.id),
            Self::CreditRequest(request) if request.status == RequestStatus::Pending => {
                ids().number(IdKind::CreditRequest, request.id)
            }
            Self::Entry(entry) if entry.kind == EntryKind::Adjustment => {
                ids().number(IdKind::Adjustment, entry.reference)
            }
            Self::CreditRequest(_) | Self::Entry(_) => None,
        }
    }
}
