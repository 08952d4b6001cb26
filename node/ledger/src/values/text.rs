//! Text that people and programs give: bounded when it is made, so that a record is bounded too.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is refused. The message is for the caller of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextError(pub &'static str);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub(crate) Box<str>);

        impl $name {
            /// The text, checked; the error says what is allowed.
            pub fn new(text: &str) -> Result<Self, TextError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                $check(&text)?;
                Ok(Self(text.into_boxed_str()))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0.into_string()
            }
        }
    };
}

text!(
    /// The name of a seller or a key: 1 to 100 characters, none of them a control character, no space at either end.
    /// The edge takes fewer (`etebar_api::check_name`); this is what records may hold.
    Name,
    check_name
);
text!(
    /// A note or a reason: at most 500 characters; of the control characters only line breaks and tabs.
    Note,
    check_note
);
text!(
    /// A key that names one command of one caller: 1 to 64 visible ASCII characters, no quote among them.
    IdempotencyKey,
    check_key
);

text!(
    /// The caller's own text of a charge or a credit request, such as its order number: 1 to 64 characters, none of them a
    /// control character or white space.
    /// The edge takes fewer (`etebar_api::check_reference`); this is what records may hold.
    Reference,
    check_reference
);

text!(
    /// An address of a node, `HOST:PORT`: 3 to 261 visible ASCII characters.
    Address,
    check_address
);

impl Note {
    /// The note where none was given.
    pub fn empty() -> Self {
        Self(Box::default())
    }
}

/// The text of a reference; empty where there is none.
pub(crate) fn reference_text(reference: Option<&Reference>) -> &str {
    reference.map_or("", Reference::as_str)
}

/// Longest name, in characters.
pub const NAME_CHARS: usize = 100;
/// Longest note, in characters.
pub const NOTE_CHARS: usize = 500;
/// Longest reference, in characters. Source: the contract, `POST /v1/charges`.
pub const REFERENCE_CHARS: usize = 64;
/// Longest address, in bytes. Source: a host name has at most 255, RFC 1035, section 2.3.4; and a colon with a port.
pub const ADDRESS_BYTES: usize = 261;
/// Longest idempotency key, in bytes. Source: the contract, section Idempotency.
pub const KEY_BYTES: usize = 64;

fn check_name(text: &str) -> Result<(), TextError> {
    if text.is_empty() || text.chars().count() > NAME_CHARS {
        return Err(TextError("a name has 1 to 100 characters"));
    }
    if text.trim() != text {
        return Err(TextError("a name has no space at its ends"));
    }
    if text.chars().any(char::is_control) {
        return Err(TextError("a name has no control characters"));
    }
    Ok(())
}

fn check_note(text: &str) -> Result<(), TextError> {
    if text.chars().count() > NOTE_CHARS {
        return Err(TextError("at most 500 characters are kept"));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(TextError("of the control characters only line breaks and tabs are taken"));
    }
    Ok(())
}

fn check_reference(text: &str) -> Result<(), TextError> {
    if text.is_empty() || text.chars().count() > REFERENCE_CHARS {
        return Err(TextError("a reference has 1 to 64 characters"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(TextError("a reference has visible characters alone, and no space"));
    }
    Ok(())
}

fn check_address(text: &str) -> Result<(), TextError> {
    if !(3..=ADDRESS_BYTES).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TextError("an address has 3 to 261 visible ASCII characters"));
    }
    Ok(())
}

fn check_key(text: &str) -> Result<(), TextError> {
    if text.is_empty() || text.len() > KEY_BYTES {
        return Err(TextError("an idempotency key has 1 to 64 characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
        return Err(TextError("an idempotency key has visible ASCII characters and no quote inside"));
    }
    Ok(())
}
