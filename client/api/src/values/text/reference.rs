//! References as callers may give them. The ledger takes more, so that old records stay valid.

use super::foreign::{CodePoint, is_visible};

/// A character of a reference that people cannot see, or a space. It is `400 invalid_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reference has visible characters alone, and no space: {} is none", CodePoint(*.0))]
pub struct ReferenceError(pub char);

/// Whether people can see all of `text`; how long it may be, the ledger says.
pub fn check_reference(text: &str) -> Result<(), ReferenceError> {
    match text.chars().find(|char| char.is_whitespace() || !is_visible(*char)) {
        None => Ok(()),
        Some(char) => Err(ReferenceError(char)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_visible_from_end_to_end() {
        for text in ["INV-2026/17", "سفارش۱۲", "a\"b\\c", "漢字"] {
            assert_eq!(check_reference(text), Ok(()), "{text:?}");
        }
        for char in [' ', '\u{a0}', '\n', '\u{200c}', '\u{202e}', '\u{feff}', '\u{e000}'] {
            assert_eq!(check_reference(&format!("a{char}b")), Err(ReferenceError(char)));
        }
    }
}
