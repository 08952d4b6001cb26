//! The secret text of an API key: `etb_<role>_` and 256 random bits in base64url (RFC 4648, section 5, no padding).
//!
//! It leaves the node once, in the answer to its creation; only its BLAKE3 is stored, and neither is ever logged.

use etebar_api::Role;
use ledger::KeyHash;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The key's text from 32 random bytes.
pub fn text(role: Role, chance: &[u8; 32]) -> String {
    let prefix = match role {
        Role::Admin => "etb_admin_",
        Role::Seller => "etb_seller_",
        Role::Auditor => "etb_auditor_",
    };
    let mut text = String::with_capacity(prefix.len() + 43);
    text.push_str(prefix);
    for chunk in chance.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * place)) & 0x3f;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// What is stored of a key.
pub fn hash(text: &str) -> KeyHash {
    KeyHash(*blake3::hash(text.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_role_and_43_characters() {
        assert_eq!(text(Role::Admin, &[0; 32]), format!("etb_admin_{}", "A".repeat(43)));
        assert_eq!(text(Role::Seller, &[0xff; 32]), format!("etb_seller_{}8", "_".repeat(42)));
        let counted: [u8; 32] = std::array::from_fn(|at| at as u8);
        assert_eq!(text(Role::Auditor, &counted), "etb_auditor_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    }
}
