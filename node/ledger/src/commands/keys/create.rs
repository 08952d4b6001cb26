//! A new API key. The ledger holds the hash of its secret; the secret stays where the request arrived.

use serde::{Deserialize, Serialize};

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::{Refusal, Rejection};
use crate::state::State;
use crate::state::api_key::Grant;
use crate::values::ids::{ApiKeyHash, ApiKeyNumber, At, RecordNumber};
use crate::values::text::Name;

/// Makes an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateKey {
    /// Its name, unique among active keys.
    pub name: Name,
    /// What it may do.
    pub grant: Grant,
    /// The hash of the secret. It is drawn anew at each attempt, so it is no part of the content that is compared.
    pub hash: ApiKeyHash,
}

/// A key was made; its record number is the key's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCreated {
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub grant: Grant,
    /// The hash of its secret.
    pub hash: ApiKeyHash,
}

impl CommandKind for CreateKey {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn since(&self) -> u32 {
        self.grant.since()
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn text_bytes(&self) -> usize {
        self.name.as_str().len()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        write(bytes, &self.name, self.grant, self.hash);
    }
}

impl CreateKey {
    /// The seller must exist, the name must be free, and the secret must be new.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> Result<KeyCreated, Denial> {
        if let Grant::Seller(seller) = self.grant {
            context.seller(seller)?;
        }
        if context.state.is_name_active(&self.name, context.now) {
            return Err(Refusal::NameTaken.into());
        }
        // Those of revoked keys too: a secret that was withdrawn must not come back under another grant.
        if context.state.api_key_by_hash(&self.hash).is_some() {
            return Err(Rejection::SecretTaken.into());
        }
        Ok(KeyCreated { name: self.name.clone(), grant: self.grant, hash: self.hash })
    }

    /// Whether both ask for the same key.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.grant == other.grant
    }
}

impl EventKind for KeyCreated {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, at: At, state: &mut State) {
        state.add_api_key(at, self.name.clone(), self.grant, self.hash, None);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        write(bytes, &self.name, self.grant, self.hash);
    }

    fn api_keys(&self, number: RecordNumber) -> [Option<ApiKeyNumber>; 2] {
        [Some(number), None]
    }
}

impl KeyCreated {
    /// Whether this command makes such an event.
    pub(crate) fn answers(&self, asked: &CreateKey) -> bool {
        self.name == asked.name && self.grant == asked.grant
    }
}

fn write(bytes: &mut ItemBytes<'_>, name: &Name, grant: Grant, hash: ApiKeyHash) {
    bytes.text(name.as_str());
    grant.write(bytes);
    bytes.bytes(&hash.0);
}
