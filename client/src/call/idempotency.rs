//! An idempotency key: the caller's name for one command, however often it is sent.

use std::fmt;

use hyper::header::HeaderValue;

use etebar_api::MAX_IDEMPOTENCY_KEY;

/// The text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 64 visible ASCII characters without quotes")]
pub struct BadKey;

/// Names one command within its scope. Invariant: 1 to 64 visible ASCII characters, no quote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A new key of 128 random bits. Fails only where the system offers no random bits.
    #[expect(clippy::disallowed_methods, reason = "a client draws its own keys")]
    pub fn random() -> Result<IdempotencyKey, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(IdempotencyKey(format!("{:032x}", u128::from_be_bytes(bits))))
    }

    /// The caller's own key.
    pub fn parse(text: &str) -> Result<IdempotencyKey, BadKey> {
        let fits = (1..=MAX_IDEMPOTENCY_KEY).contains(&text.len());
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if fits && visible { Ok(IdempotencyKey(text.to_owned())) } else { Err(BadKey) }
    }

    /// Its text, bare.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("a key is visible ASCII")
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for IdempotencyKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<IdempotencyKey, BadKey> {
        IdempotencyKey::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_64_visible_characters_without_quotes() {
        assert!(IdempotencyKey::parse("k").is_ok());
        assert!(IdempotencyKey::parse(&"k".repeat(64)).is_ok());
        for text in ["", "a b", "a\"b", "\u{e9}", "a\n"] {
            assert_eq!(IdempotencyKey::parse(text), Err(BadKey), "{text:?}");
        }
        assert_eq!(IdempotencyKey::parse(&"k".repeat(65)), Err(BadKey));
    }

    #[test]
    fn two_random_keys_differ() {
        assert_ne!(IdempotencyKey::random().unwrap(), IdempotencyKey::random().unwrap());
    }
}
