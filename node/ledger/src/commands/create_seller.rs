//! A new seller, with no credit.

use serde::{Deserialize, Serialize};

use super::kind::{CommandKind, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::state::State;
use crate::values::ids::{At, RecordNumber};
use crate::values::text::Name;

/// Creates a seller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSeller {
    /// Its name; several sellers may share one.
    pub name: Name,
}

/// A seller was created; its record number is the seller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerCreated {
    /// Its name.
    pub name: Name,
}

impl CommandKind for CreateSeller {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        self.name.as_str().len()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.text(self.name.as_str());
    }
}

impl CreateSeller {
    /// Nothing is checked: an admin may create any seller.
    pub(crate) fn evaluate(&self) -> SellerCreated {
        SellerCreated { name: self.name.clone() }
    }
}

impl EventKind for SellerCreated {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, at: At, state: &mut State) {
        state.add_seller(at, &self.name);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.text(self.name.as_str());
    }

    fn seller(&self, number: RecordNumber) -> Option<RecordNumber> {
        Some(number)
    }
}

impl SellerCreated {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &CreateSeller) -> bool {
        self.name == asked.name
    }
}
