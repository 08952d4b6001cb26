//! A backup was verified: noted in the ledger, so that every node knows how old the last good one is.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::{Digest, ItemBytes};
use crate::refusal::Rejection;
use crate::state::State;
use crate::values::ids::At;
use crate::values::rules::RULES_RECOVERY;

/// Notes that a backup was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteBackup {
    /// How many records it has: at least 1, and no more than the ledger.
    pub records: u64,
    /// The chain over them, as the verification recomputed it.
    pub digest: Digest,
}

/// A backup was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupNoted {
    /// How many records it has.
    pub records: u64,
    /// The chain over them.
    pub digest: Digest,
}

impl CommandKind for NoteBackup {
    fn role(&self) -> RequiredRole {
        RequiredRole::Operator
    }

    fn since(&self) -> u32 {
        RULES_RECOVERY
    }

    fn is_done_on_hold(&self) -> bool {
        true
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.records);
        bytes.bytes(&self.digest.0);
    }
}

impl NoteBackup {
    /// It cannot have more than there is. That its digest is right is for whoever verified it.
    pub(crate) fn evaluate(self, context: &Context<'_>) -> Result<BackupNoted, Denial> {
        let Self { records, digest } = self;
        if !(1..=context.state.records()).contains(&records) {
            return Err(Rejection::OutOfPlace.into());
        }
        Ok(BackupNoted { records, digest })
    }
}

impl EventKind for BackupNoted {
    fn role(&self) -> RequiredRole {
        RequiredRole::Operator
    }

    fn apply(&self, at: At, state: &mut State) {
        state.note_backup(at, self.records);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.records);
        bytes.bytes(&self.digest.0);
    }
}
