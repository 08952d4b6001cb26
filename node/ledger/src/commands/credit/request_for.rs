//! A credit request that is filed on a seller's behalf. Under four eyes, whoever files it does not approve it.

use serde::{Deserialize, Serialize};

use super::request::{CreditRequested, RequestCredit};
use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Refusal;
use crate::state::State;
use crate::state::seller::SellerStatus;
use crate::values::ids::{At, RecordNumber};
use crate::values::rules::RULES_ROLES;

/// Asks for more credit for a seller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCreditFor {
    /// Which seller.
    pub seller: RecordNumber,
    /// What the seller itself would ask.
    pub request: RequestCredit,
}

/// Credit was asked for on a seller's behalf; the record number is the request's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreditRequestedFor {
    /// The request.
    pub request: CreditRequested,
}

impl CommandKind for RequestCreditFor {
    fn role(&self) -> RequiredRole {
        RequiredRole::Approver
    }

    fn since(&self) -> u32 {
        RULES_ROLES
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        self.request.text_bytes()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.seller);
        CommandKind::write(&self.request, bytes);
    }
}

impl RequestCreditFor {
    /// The seller must exist and must not be suspended.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<CreditRequestedFor, Denial> {
        let seller = context.seller(self.seller)?;
        if seller.status == SellerStatus::Suspended {
            return Err(Refusal::SellerSuspended.into());
        }
        Ok(CreditRequestedFor { request: self.request.filed_for(seller.number) })
    }
}

impl EventKind for CreditRequestedFor {
    fn role(&self) -> RequiredRole {
        RequiredRole::Approver
    }

    fn apply(&self, at: At, state: &mut State) {
        self.request.apply(at, state);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        EventKind::write(&self.request, bytes);
    }

    fn seller(&self, number: RecordNumber) -> Option<RecordNumber> {
        self.request.seller(number)
    }
}

impl CreditRequestedFor {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &RequestCreditFor) -> bool {
        self.request.seller == asked.seller && self.request.answers(&asked.request)
    }
}
