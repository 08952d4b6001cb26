//! A new API key that ends by itself, at an instant of ledger time.

use serde::{Deserialize, Serialize};

use super::create::{CreateKey, KeyCreated};
use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::state::State;
use crate::values::ids::{ApiKeyNumber, At, RecordNumber, Time};
use crate::values::rules::RULES_ROLES;

/// Makes an API key that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateExpiringKey {
    /// The key.
    pub key: CreateKey,
    /// The first instant at which it is refused.
    pub expires_at: Time,
}

/// A key that ends was made; its record number is the key's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiringKeyCreated {
    /// The key.
    pub key: KeyCreated,
    /// The first instant at which it is refused.
    pub expires_at: Time,
}

impl CommandKind for CreateExpiringKey {
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
        self.key.text_bytes()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        CommandKind::write(&self.key, bytes);
        bytes.u64(self.expires_at.0);
    }
}

impl CreateExpiringKey {
    /// As for a key without an end. One that has ended already is made, and is of no use.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<ExpiringKeyCreated, Denial> {
        Ok(ExpiringKeyCreated { key: self.key.evaluate(context)?, expires_at: self.expires_at })
    }

    /// Whether both ask for the same key.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.key.is_same(&other.key) && self.expires_at == other.expires_at
    }
}

impl EventKind for ExpiringKeyCreated {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, at: At, state: &mut State) {
        let KeyCreated { name, grant, hash } = &self.key;
        state.add_api_key(at, name.clone(), *grant, *hash, Some(self.expires_at));
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        EventKind::write(&self.key, bytes);
        bytes.u64(self.expires_at.0);
    }

    fn api_keys(&self, number: RecordNumber) -> [Option<ApiKeyNumber>; 2] {
        [Some(number), None]
    }
}

impl ExpiringKeyCreated {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &CreateExpiringKey) -> bool {
        self.key.answers(&asked.key) && self.expires_at == asked.expires_at
    }
}
