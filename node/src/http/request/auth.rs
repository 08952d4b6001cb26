//! Who calls: a bearer key, hashed, looked up, and turned into a [`Caller`].
//!
//! What a command may do is decided in the ledger, at its position; the checks here only refuse early what it would.
//! Reads are checked twice: on the key ring before the wait, and on the state that is shown.

use axum::http::{HeaderMap, HeaderValue, header};
use ledger::{Grant, KeyHash, KeyNumber, RecordNumber, State};

use super::head::Head;
use crate::http::app::App;
use crate::http::response::problem::Problem;
use crate::raft::{Consistency, KnownKey};

/// Longest key that is looked up, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// Who calls, as far as this node knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The key's record number.
    pub key: KeyNumber,
    /// What it may do.
    pub grant: Grant,
}

impl Caller {
    /// The caller whose key came with the request. Where this node does not know the key yet, it waits until it knows all
    /// that were made before. A position that the request names is waited for only once the key is known, so that
    /// unauthenticated requests cost nothing.
    pub(crate) async fn of(head: &Head, app: &App) -> Result<Self, Problem> {
        let hash = secret::hash(bearer(head.headers())?);
        let caller = if let Some(caller) = Self::on_ring(app, &hash) {
            caller?
        } else {
            app.cluster.know_keys(head.deadline).await?;
            Self::on_ring(app, &hash).unwrap_or_else(|| Err(Problem::unauthenticated("the key is not known")))?
        };
        let Some(position) = head.min_applied()? else { return Ok(caller) };
        app.cluster.read(Consistency::Local, Some(position), head.deadline).await?;
        // The key as of that position: it may have been revoked before it.
        Self::on_ring(app, &hash).unwrap_or(Ok(caller))
    }

    fn on_ring(app: &App, hash: &KeyHash) -> Option<Result<Self, Problem>> {
        app.cluster.key_ring().by_hash(hash).map(Self::known)
    }

    fn known(key: &KnownKey) -> Result<Self, Problem> {
        if key.revoked {
            return Err(Problem::unauthenticated("the key is revoked"));
        }
        Ok(Self { key: key.number, grant: key.grant })
    }

    /// Refuses all but admins.
    pub(crate) fn must_be_admin(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin => Ok(()),
            Grant::Auditor | Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// Refuses all but admins and auditors.
    pub(crate) fn must_see_all(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Auditor => Ok(()),
            Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// The seller that acts; refuses all but sellers.
    pub(crate) fn must_be_seller(&self) -> Result<RecordNumber, Problem> {
        match self.grant {
            Grant::Seller(seller) => Ok(seller),
            Grant::Admin | Grant::Auditor => Err(Problem::forbidden()),
        }
    }

    /// Refuses to show another seller's resources: they are not found, so that nothing shows that they exist.
    pub(crate) fn must_see(&self, seller: RecordNumber) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Auditor => Ok(()),
            Grant::Seller(own) if own == seller => Ok(()),
            Grant::Seller(_) => Err(Problem::not_found()),
        }
    }

    /// Refuses a key that is revoked in the state that is shown.
    pub(crate) fn must_hold_in(&self, state: &State) -> Result<(), Problem> {
        match state.api_key(self.key) {
            Some(key) if key.revoked_by.is_none() => Ok(()),
            Some(_) | None => Err(Problem::unauthenticated("the key is revoked")),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::unauthenticated("give one key as Authorization: Bearer KEY"));
    };
    bearer_of(value).ok_or_else(|| Problem::unauthenticated("give the key as Authorization: Bearer KEY"))
}

fn bearer_of(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    let key = key.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty() && key.len() <= KEY_BYTES_MAX).then_some(key)
}

/// The secret text of an API key: `etb_<role>_` and 256 random bits in base64url (RFC 4648, section 5, no padding).
///
/// It leaves the node once, in the answer to its creation; only its BLAKE3 is stored, and neither is ever logged.
pub mod secret {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use etebar_api::Role;
    use ledger::KeyHash;

    /// The key's text from 32 random bytes.
    pub fn text(role: Role, entropy: &[u8; 32]) -> String {
        let prefix = match role {
            Role::Admin => "etb_admin_",
            Role::Seller => "etb_seller_",
            Role::Auditor => "etb_auditor_",
        };
        format!("{prefix}{}", Base64UrlUnpadded::encode_string(entropy))
    }

    /// What is stored of a key.
    pub fn hash(text: &str) -> KeyHash {
        KeyHash(*blake3::hash(text.as_bytes()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use etebar_api::Role;

    use super::*;

    #[test]
    fn a_bearer_key_is_read_whatever_the_scheme_is_spelled_like() {
        for value in ["Bearer etb_x", "bearer etb_x", "BEARER  etb_x"] {
            assert_eq!(bearer_of(&HeaderValue::from_static(value)), Some("etb_x"), "{value}");
        }
        for value in ["etb_x", "Bearer", "Bearer ", "Basic etb_x", ""] {
            assert_eq!(bearer_of(&HeaderValue::from_static(value)), None, "{value}");
        }
    }

    #[test]
    fn a_key_is_its_role_and_43_characters() {
        assert_eq!(secret::text(Role::Admin, &[0; 32]), format!("etb_admin_{}", "A".repeat(43)));
        assert_eq!(secret::text(Role::Seller, &[0xff; 32]), format!("etb_seller_{}8", "_".repeat(42)));
        let mut counted = [0_u8; 32];
        counted.iter_mut().zip(0..).for_each(|(byte, number)| *byte = number);
        assert_eq!(secret::text(Role::Auditor, &counted), "etb_auditor_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    }
}
