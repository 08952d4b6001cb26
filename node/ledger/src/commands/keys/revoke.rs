//! The end of an API key. It stays known, for its name.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::{Refusal, Rejection};
use crate::state::State;
use crate::values::ids::{ApiKeyNumber, At, RecordNumber};

/// Revokes an API key permanently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeKey {
    /// Which key.
    pub key: ApiKeyNumber,
}

/// A key was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// Which key.
    pub key: ApiKeyNumber,
}

impl CommandKind for RevokeKey {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn subject(&self, state: &State) -> Option<RecordNumber> {
        state.api_key(self.key)?.revoked_by
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.key);
    }
}

impl RevokeKey {
    /// The key must exist and must not be the last admin key without an end. A key that is revoked already is done.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<KeyRevoked, Denial> {
        let key = context.state.api_key(self.key).ok_or(Rejection::UnknownKey)?;
        if let Some(record) = key.revoked_by {
            return Err(Denial::Done(record));
        }
        if context.state.is_last_admin(key) {
            return Err(Refusal::LastAdminKey.into());
        }
        Ok(KeyRevoked { key: self.key })
    }
}

impl EventKind for KeyRevoked {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, at: At, state: &mut State) {
        state.revoke_api_key(at, self.key);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.key);
    }

    fn api_keys(&self, _number: RecordNumber) -> [Option<ApiKeyNumber>; 2] {
        [Some(self.key), None]
    }
}

impl KeyRevoked {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &RevokeKey) -> bool {
        self.key == asked.key
    }
}
