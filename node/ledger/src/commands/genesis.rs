//! The genesis: the first command of a ledger, which is its own event. What it fixes is in [`Genesis`].

use super::kind::{CommandKind, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Rejection;
use crate::state::State;
use crate::state::genesis::Genesis;
use crate::values::ids::{ApiKeyNumber, At, RecordNumber};

/// Bytes of a genesis in a log entry beyond those of every command, its currency apart.
const FIXED_BYTES: usize = 96;

impl CommandKind for Genesis {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        self.currency.as_str().len().saturating_add(FIXED_BYTES)
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        self.write_fields(bytes);
    }
}

impl Genesis {
    /// Answers must be possible by it. That there is none yet was checked with the authorisation.
    pub(crate) fn evaluate(&self) -> Result<Self, Denial> {
        if self.is_sound() { Ok(self.clone()) } else { Err(Rejection::Malformed.into()) }
    }
}

impl EventKind for Genesis {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn apply(&self, at: At, state: &mut State) {
        state.start(at, self);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        self.write_fields(bytes);
    }

    /// The first admin key.
    fn api_keys(&self, number: RecordNumber) -> [Option<ApiKeyNumber>; 2] {
        [Some(number), None]
    }
}
