//! Values of a request, checked one by one, so that one answer lists all that is wrong with it.

use etebar_api::{AmountIn, FieldError, PhoneError, check_name, read_phone};
use ledger::{Amount, IdempotencyKey, Name, Note, Phone, SignedAmount};

use crate::http::response::problem::{ERRORS_MAX, Problem};

/// Collects what is wrong with one request.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    /// Collects where a value is wrong; returns it where it is right.
    pub(crate) fn at<T, E: ToString>(&mut self, pointer: impl FnOnce() -> String, value: Result<T, E>) -> Option<T> {
        value
            .map_err(|error| {
                if self.0.len() < ERRORS_MAX {
                    self.0.push(FieldError { pointer: pointer(), detail: error.to_string() });
                }
            })
            .ok()
    }

    /// The answer that lists them.
    pub(crate) fn problem(self) -> Problem {
        Problem::invalid_all(self.0)
    }
}

/// A positive amount.
pub(crate) fn amount(amount: AmountIn, decimals: u32) -> Result<Amount, String> {
    let minor = amount.positive(decimals).map_err(|error| error.to_string())?;
    u64::try_from(minor).ok().and_then(Amount::new).ok_or_else(|| "an amount is at most 10^15 minor units".into())
}

/// A signed amount that is not zero.
pub(crate) fn change(amount: AmountIn, decimals: u32) -> Result<SignedAmount, String> {
    let minor = amount.nonzero(decimals).map_err(|error| error.to_string())?;
    SignedAmount::new(minor).ok_or_else(|| "an amount is at most 10^15 minor units".into())
}

/// A phone number in one of its spellings.
pub(crate) fn phone(text: &str) -> Result<Phone, PhoneError> {
    read_phone(text)
}

/// A name without invisible characters. The ledger takes more, since old records hold more.
pub(crate) fn name(text: &str) -> Result<Name, String> {
    check_name(text).map_err(|error| error.to_string())?;
    Name::new(text).map_err(|error| error.to_string())
}

/// A note that may be missing.
pub(crate) fn note(text: Option<&str>) -> Result<Note, ledger::TextError> {
    text.map_or_else(|| Ok(Note::empty()), Note::new)
}

/// A reason that must be given.
pub(crate) fn reason(text: &str) -> Result<Note, String> {
    if text.trim().is_empty() {
        return Err("a reason must be given".into());
    }
    Note::new(text).map_err(|error| error.to_string())
}

/// An idempotency key in a body or a query, always bare.
pub(crate) fn idempotency_key(text: &str) -> Result<IdempotencyKey, ledger::TextError> {
    IdempotencyKey::new(text)
}
