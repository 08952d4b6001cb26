//! The secret text of an API key: `etb_<role>_` and 256 random bits in base64url (RFC 4648, section 5, no padding).
//!
//! It leaves the node once, in the answer to its creation; only its BLAKE3 is stored, and neither is ever logged.

use base64ct::{Base64UrlUnpadded, Encoding};
use etebar_api::Role;
use ledger::ApiKeyHash;

/// The key's text from 32 random bytes.
pub fn text(role: Role, entropy: &[u8; 32]) -> String {
    let prefix = match role {
        Role::Admin => "etb_admin_",
        Role::Seller => "etb_seller_",
        Role::Auditor => "etb_auditor_",
        Role::Approver => "etb_approver_",
        Role::Operator => "etb_operator_",
    };
    format!("{prefix}{}", Base64UrlUnpadded::encode_string(entropy))
}

/// What is stored of a key.
pub fn hash(text: &str) -> ApiKeyHash {
    ApiKeyHash(*blake3::hash(text.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_role_and_43_characters() {
        assert_eq!(text(Role::Admin, &[0; 32]), format!("etb_admin_{}", "A".repeat(43)));
        assert_eq!(text(Role::Seller, &[0xff; 32]), format!("etb_seller_{}8", "_".repeat(42)));
        let mut counted = [0_u8; 32];
        counted.iter_mut().zip(0..).for_each(|(byte, number)| *byte = number);
        assert_eq!(text(Role::Auditor, &counted), "etb_auditor_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    }
}
