//! A request with its body: read within its bound, parsed as JSON once, and its values checked one by one, so that one
//! answer lists all that is wrong with it.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use etebar_api::{AmountIn, Code, FieldError, check_name, check_reference};
use futures::StreamExt;
use ledger::{Amount, ApiKeyNumber, Name, Note, Reference, SignedAmount};
use serde::Deserialize;

use super::head::Head;
use super::json::{Object, explain};
use crate::http::app::App;
use crate::http::limits::LARGE_BODY_BYTES;
use crate::http::response::problem::{ERRORS_MAX, Problem};

/// A request with its body, which is not read yet.
pub(crate) struct Call {
    /// All but the body.
    pub head: Head,
    body: Body,
}

/// A body whose `Content-Type` is JSON, read whole.
#[derive(Debug)]
pub(crate) struct JsonBody(Bytes);

impl FromRequest<App> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Ok(Self { head: Head::new(parts, app).await?, body })
    }
}

impl Call {
    /// The body of a request that must have one, in JSON; `key` is the caller's.
    pub(crate) async fn json(&mut self, app: &App, key: ApiKeyNumber) -> Result<JsonBody, Problem> {
        if !is_json(self.head.headers()) {
            return Err(not_json());
        }
        self.bytes(app, key).await.map(JsonBody)
    }

    /// The body of a request that may have one, in JSON.
    pub(crate) async fn json_if_any(&mut self, app: &App, key: ApiKeyNumber) -> Result<JsonBody, Problem> {
        let is_json = is_json(self.head.headers());
        let bytes = self.bytes(app, key).await?;
        if bytes.is_empty() || is_json { Ok(JsonBody(bytes)) } else { Err(not_json()) }
    }

    async fn bytes(&mut self, app: &App, key: ApiKeyNumber) -> Result<Bytes, Problem> {
        let most = app.limits.body_bytes;
        let announced = announced_bytes(self.head.headers());
        if announced.is_some_and(|bytes| bytes > most as u64) {
            return Err(too_large(most));
        }
        let body = std::mem::take(&mut self.body);
        let is_empty = hyper::body::Body::is_end_stream(&body);
        let is_large = announced.is_none_or(|bytes| bytes > LARGE_BODY_BYTES as u64);
        let _permit = if is_large && !is_empty {
            Some(app.quotas.large_bodies.take(key, self.head.deadline).await?)
        } else {
            None
        };
        match tokio::time::timeout_at(self.head.deadline, collect(body, most)).await {
            Ok(bytes) => bytes,
            Err(_) => Err(Problem::invalid("", "the body did not arrive in time")),
        }
    }
}

impl JsonBody {
    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Parses it as a `T`, which may borrow from it.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        parse(&self.0)
    }

    /// Parses it as a `T`; a body that is absent means the default.
    pub(crate) fn parse_or_default<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, Problem> {
        if self.0.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { self.parse() }
    }
}

/// An empty body: absent, or `{}`.
pub(crate) fn nothing_but_an_empty_object(body: &JsonBody) -> Result<(), Problem> {
    #[derive(Default, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let Nothing {} = body.parse_or_default()?;
    Ok(())
}

/// Joins the pieces of a body of at most `most` bytes. A body of one piece is not copied.
async fn collect(body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut pieces = body.into_data_stream();
    let mut first = Bytes::new();
    let mut joined: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::invalid("", "the body broke off"))?;
        if first.len().max(joined.len()) + piece.len() > most {
            return Err(too_large(most));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&piece);
    }
    Ok(if joined.is_empty() { first } else { joined.into() })
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body's `Content-Type` is JSON, without a content coding.
fn is_json(headers: &HeaderMap) -> bool {
    if !is_identity(headers) {
        return false;
    }
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Whether the body is as it stands: each content coding, if any, is `identity` (RFC 9110, section 8.4).
fn is_identity(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.all(|coding| coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn not_json() -> Problem {
    Problem::new(Code::UnsupportedMediaType, "the body is taken as application/json only, without a content coding")
}

fn too_large(most: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("a body has at most {most} bytes"))
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map(|Object(body)| body).map_err(|_| explain::<T>(bytes))
}

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

/// A name without invisible characters. The ledger takes more, since old records hold more.
pub(crate) fn name(text: &str) -> Result<Name, String> {
    check_name(text).map_err(|error| error.to_string())?;
    Name::new(text).map_err(|error| error.to_string())
}

/// The caller's own text, which may be missing. The ledger takes more, since old records hold more.
pub(crate) fn reference(text: Option<&str>) -> Result<Option<Reference>, String> {
    let Some(text) = text else { return Ok(None) };
    check_reference(text).map_err(|error| error.to_string())?;
    Reference::new(text).map(Some).map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use etebar_api::{BatchRequest, NewCharge, NewSeller};
    use serde_json::json;

    use super::*;

    fn pointer_of<'a, T: Deserialize<'a> + std::fmt::Debug>(body: &'a str) -> serde_json::Value {
        let problem = parse::<T>(body.as_bytes()).expect_err("the body is wrong");
        json!(problem.body().errors[0].pointer)
    }

    #[test]
    fn a_wrong_value_is_pointed_at() {
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":"09123456789","amount":1.5}"#), json!("/amount"));
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":7,"amount":"1"}"#), json!("/phone"));
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":"09123456789"}"#), json!("/amount"));
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":"1","amount":"1","x":1}"#), json!("/x"));
        let batch = r#"{"charges":[{"phone":"1","amount":"1","idempotency_key":"a"},{"phone":null,"amount":"1","idempotency_key":"a"}]}"#;
        assert_eq!(pointer_of::<BatchRequest>(batch), json!("/charges/1/phone"));
        assert_eq!(
            pointer_of::<BatchRequest>(r#"{"charges":[{"phone":"1","amount":"1"}]}"#),
            json!("/charges/0/idempotency_key")
        );
    }

    #[test]
    fn what_an_error_repeats_of_a_body_is_bounded() {
        let long = "x\u{202e}".repeat(100_000);
        for body in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"name":{{"{long}":1}}}}"#), format!("[\"{long}\"]")] {
            let problem = parse::<NewSeller>(body.as_bytes()).expect_err("the body is wrong");
            let text = json!(problem.body()).to_string();
            assert!(text.len() < 5_000 && !text.contains('\u{202e}'), "{} bytes", text.len());
        }
    }

    #[test]
    fn what_is_no_json_points_at_the_whole() {
        for body in
            ["", "{", "[]", "null", "NaN", "{\"name\":\"a\"} x", "{\"name\":\"a\"}{\"name\":\"a\"}", "\u{feff}{}"]
        {
            assert_eq!(pointer_of::<NewSeller>(body), json!(""), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(pointer_of::<NewSeller>(&deep), json!(""));
    }
}
