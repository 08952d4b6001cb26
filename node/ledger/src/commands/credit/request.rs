//! A credit request: what a seller files and an admin decides.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::state::State;
use crate::values::amount::Amount;
use crate::values::ids::{At, RecordNumber};
use crate::values::text::{Note, Reference, reference_text};

/// Asks for more credit, for the seller whose key acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCredit {
    /// How much.
    pub amount: Amount,
    /// The seller's note.
    pub note: Note,
    /// The seller's own text, such as its order number.
    pub reference: Option<Reference>,
}

/// A seller asked for credit; its record number is the request's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRequested {
    /// Which seller.
    pub seller: RecordNumber,
    /// How much.
    pub amount: Amount,
    /// The seller's note.
    pub note: Note,
    /// The seller's own text, such as its order number.
    pub reference: Option<Reference>,
}

impl CommandKind for RequestCredit {
    fn role(&self) -> RequiredRole {
        RequiredRole::Seller
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        self.note.as_str().len().saturating_add(reference_text(self.reference.as_ref()).len())
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.amount.minor());
        bytes.text(self.note.as_str());
        bytes.text(reference_text(self.reference.as_ref()));
    }
}

impl RequestCredit {
    /// The seller must not be suspended.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<CreditRequested, Denial> {
        Ok(self.filed_for(context.acting_seller()?.number))
    }

    /// This request, of this seller.
    pub(super) fn filed_for(&self, seller: RecordNumber) -> CreditRequested {
        CreditRequested { seller, amount: self.amount, note: self.note.clone(), reference: self.reference.clone() }
    }
}

impl EventKind for CreditRequested {
    fn role(&self) -> RequiredRole {
        RequiredRole::Seller
    }

    fn apply(&self, at: At, state: &mut State) {
        state.add_request(at, self.seller);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.seller);
        bytes.u64(self.amount.minor());
        bytes.text(self.note.as_str());
        bytes.text(reference_text(self.reference.as_ref()));
    }

    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        Some(self.seller)
    }
}

impl CreditRequested {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &RequestCredit) -> bool {
        self.amount == asked.amount && self.note == asked.note && self.reference == asked.reference
    }
}
