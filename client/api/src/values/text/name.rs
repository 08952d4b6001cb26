//! Names of sellers and keys as people may write them. The ledger takes more, so that old records stay valid.
//!
//! Every character is visible and assigned in the Unicode version whose tables compare names (`ledger::text`): of those
//! Unicode promises never to change normalization and case folding, so that newer tables compare them alike.

use super::foreign::{CodePoint, ZWNJ, is_letter, is_visible};

/// Why a text is no name. All are `400 invalid_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A control, bidirectional, zero-width, private or unassigned character.
    #[error("a name has no control, bidirectional or invisible characters: {} is one", CodePoint(*.0))]
    Invisible(char),
    /// A non-joiner that is not between two letters, where it cannot be seen.
    #[error("a name has a zero-width non-joiner (U+200C) between two letters alone")]
    Joiner,
}

/// Whether people can see all of `text`; what else a name may be, the ledger says.
pub fn check_name(text: &str) -> Result<(), NameError> {
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        if char == ZWNJ {
            let between = before.is_some_and(is_letter) && rest.peek().is_some_and(|next| is_letter(*next));
            if !between {
                return Err(NameError::Joiner);
            }
        } else if !is_visible(char) {
            return Err(NameError::Invisible(char));
        }
        before = Some(char);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_people_can_see() {
        for name in [
            "kiosk-12",
            "Kiosk 12",
            "فروشگاه رضا",
            "نمایندگی\u{200c}ها",
            "e\u{301}cole",
            "漢字",
            "½ price",
            "",
            "  a  b ",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
        let hidden = [
            '\u{1b}', '\n', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200e}', '\u{200b}', '\u{200d}', '\u{2060}',
        ];
        for char in hidden.into_iter().chain([
            '\u{feff}',
            '\u{ad}',
            '\u{34f}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{e000}',
            '\u{378}',
            '\u{2028}',
        ]) {
            let error = check_name(&format!("a{char}b")).unwrap_err();
            assert_eq!(error, NameError::Invisible(char));
            assert!(error.to_string().contains(&format!("U+{:04X}", u32::from(char))), "{error}");
        }
        for name in ["\u{200c}a", "a\u{200c}", "a\u{200c}\u{200c}b", "a \u{200c}b", "1\u{200c}2"] {
            assert_eq!(check_name(name), Err(NameError::Joiner), "{name:?}");
        }
    }
}
