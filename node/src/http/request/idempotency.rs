//! The `Idempotency-Key` header: bare, or in the draft's quotes; both name the same key.
//!
//! What stands between the quotes is the key as it is: a backslash in it is a character like any other.

use axum::http::HeaderMap;
use etebar_api::{Code, IDEMPOTENCY_KEY};
use ledger::IdempotencyKey;

use crate::http::response::problem::Problem;

/// Where the header is said to be wrong.
const POINTER: &str = "/Idempotency-Key";

/// The key that this request must have.
pub fn required(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    optional(headers)?
        .ok_or_else(|| Problem::new(Code::IdempotencyKeyMissing, "this request needs an Idempotency-Key header"))
}

/// The key that this request may have.
pub fn optional(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(POINTER, "the header is given more than once"));
    }
    let text = value.to_str().map_err(|_| {
        Problem::invalid(POINTER, "an idempotency key has visible ASCII characters and no quote inside")
    })?;
    IdempotencyKey::new(unquoted(text)).map(Some).map_err(|error| Problem::invalid(POINTER, error))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&'static str]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(value));
        }
        optional(&headers).map(|key| key.map(String::from)).map_err(|problem| problem.body().code)
    }

    #[test]
    fn bare_and_quoted_name_the_same_key() {
        assert_eq!(read(&["k-1"]), Ok(Some("k-1".into())));
        assert_eq!(read(&["\"k-1\""]), Ok(Some("k-1".into())));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let too_long: &'static str = Box::leak("x".repeat(65).into_boxed_str());
        for values in [&[""][..], &["\"\""], &["a", "a"], &["a\"b"], &["\"a"], &["a b"], &["\""], &[too_long]] {
            assert_eq!(read(values), Err(Code::InvalidRequest), "{values:?}");
        }
        let longest: &'static str = Box::leak("x".repeat(64).into_boxed_str());
        assert_eq!(read(&[longest]), Ok(Some(longest.into())));
    }

    #[test]
    fn a_missing_key_has_its_own_code() {
        let problem = required(&HeaderMap::new()).expect_err("no key was given");
        assert_eq!(problem.body().code, Code::IdempotencyKeyMissing);
    }
}
