//! The end of a hold: an admin has looked at what the ledger lost, and sales go on.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Rejection;
use crate::state::State;
use crate::state::recovery::Hold;
use crate::values::ids::{At, RecordNumber};
use crate::values::rules::RULES_RECOVERY;

/// Ends the hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLedger {
    /// The epoch that the admin has looked at, so that a repetition does not end the hold of a later one.
    pub epoch: u32,
}

/// The hold has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerOpened {
    /// The epoch.
    pub epoch: u32,
}

impl CommandKind for OpenLedger {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn since(&self) -> u32 {
        RULES_RECOVERY
    }

    fn is_done_on_hold(&self) -> bool {
        true
    }

    fn subject(&self, state: &State) -> Option<RecordNumber> {
        match state.hold() {
            Hold::Ended { by } => Some(by),
            Hold::Never | Hold::Since { .. } => None,
        }
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(u64::from(self.epoch));
    }
}

impl OpenLedger {
    /// One that was opened before stays so.
    pub(crate) fn evaluate(self, context: &Context<'_>) -> Result<LedgerOpened, Denial> {
        if self.epoch != context.state.epoch() {
            return Err(Rejection::OutOfPlace.into());
        }
        match context.state.hold() {
            Hold::Since { .. } => Ok(LedgerOpened { epoch: self.epoch }),
            Hold::Ended { by } => Err(Denial::Done(by)),
            Hold::Never => Err(Rejection::OutOfPlace.into()),
        }
    }
}

impl EventKind for LedgerOpened {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, at: At, state: &mut State) {
        state.end_hold(at);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(u64::from(self.epoch));
    }
}
