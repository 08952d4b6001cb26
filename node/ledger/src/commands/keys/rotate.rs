//! The rotation of an API key: a new one of the same name and grant, and an end for the old one, so that both are valid while
//! the new secret is brought to where it is used.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::{Refusal, Rejection};
use crate::state::State;
use crate::state::api_key::Grant;
use crate::values::ids::{ApiKeyHash, ApiKeyNumber, At, RecordNumber, Time};
use crate::values::rules::RULES_ROLES;
use crate::values::text::Name;

/// Bytes of the command in a log entry beyond those of every command.
const FIXED_BYTES: usize = 64;

/// Rotates an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateKey {
    /// Which key.
    pub key: ApiKeyNumber,
    /// The hash of the new key's secret. It is drawn anew at each attempt, so it is no part of the content that is compared.
    pub hash: ApiKeyHash,
    /// How long the old key is valid from then on, in milliseconds of ledger time; 0 ends it at once.
    pub overlap_ms: u64,
    /// The first instant at which the new key is refused; `None` for a key without an end.
    pub expires_at: Option<Time>,
}

/// A key was rotated; the record number is the new key's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotated {
    /// The old key.
    pub old: ApiKeyNumber,
    /// The first instant at which the old key is refused.
    pub old_expires_at: Time,
    /// How long the old one was to be valid, as it was asked, in milliseconds.
    pub overlap_ms: u64,
    /// The name of both.
    pub name: Name,
    /// What both may do.
    pub grant: Grant,
    /// The hash of the new key's secret.
    pub hash: ApiKeyHash,
    /// The first instant at which the new key is refused.
    pub expires_at: Option<Time>,
}

impl CommandKind for RotateKey {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn since(&self) -> u32 {
        RULES_ROLES
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        FIXED_BYTES
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.key);
        bytes.bytes(&self.hash.0);
        bytes.u64(self.overlap_ms);
        bytes.u64(end(self.expires_at));
    }
}

impl RotateKey {
    /// The key must be valid, the secret must be new, and an admin key without an end must stay.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<KeyRotated, Denial> {
        let old = context.state.api_key(self.key).ok_or(Rejection::UnknownKey)?;
        if !old.is_valid_at(context.now) {
            return Err(Rejection::UnknownKey.into());
        }
        if self.expires_at.is_some() && context.state.is_last_admin(old) {
            return Err(Refusal::LastAdminKey.into());
        }
        if context.state.api_key_by_hash(&self.hash).is_some() {
            return Err(Rejection::SecretTaken.into());
        }
        let overlap_end = context.now.after(self.overlap_ms);
        Ok(KeyRotated {
            old: self.key,
            old_expires_at: old.expires_at.map_or(overlap_end, |end| end.min(overlap_end)),
            overlap_ms: self.overlap_ms,
            name: old.name.clone(),
            grant: old.grant,
            hash: self.hash,
            expires_at: self.expires_at,
        })
    }

    /// Whether both ask for the same rotation.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.key, self.overlap_ms, self.expires_at) == (other.key, other.overlap_ms, other.expires_at)
    }
}

impl EventKind for KeyRotated {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, at: At, state: &mut State) {
        state.add_api_key(at, self.name.clone(), self.grant, self.hash, self.expires_at);
        state.end_api_key(at, self.old, self.old_expires_at);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.old);
        bytes.u64(self.old_expires_at.0);
        bytes.u64(self.overlap_ms);
        bytes.text(self.name.as_str());
        self.grant.write(bytes);
        bytes.bytes(&self.hash.0);
        bytes.u64(end(self.expires_at));
    }

    fn api_keys(&self, number: RecordNumber) -> [Option<ApiKeyNumber>; 2] {
        [Some(number), Some(self.old)]
    }
}

impl KeyRotated {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &RotateKey) -> bool {
        (self.old, self.overlap_ms, self.expires_at) == (asked.key, asked.overlap_ms, asked.expires_at)
    }
}

/// What a digest covers of an end: no instant that a ledger reaches stands for none.
fn end(expires_at: Option<Time>) -> u64 {
    expires_at.map_or(u64::MAX, |time| time.0)
}
