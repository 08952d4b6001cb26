//! A request with its body: read within its bound, and parsed as JSON once; where that fails, parsed again to say where.

use std::fmt;
use std::marker::PhantomData;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use etebar_api::{Code, FieldError, SHOWN_CHARS, shown};
use futures::StreamExt;
use ledger::KeyNumber;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use super::head::Head;
use crate::http::app::App;
use crate::http::limits::LARGE_BODY_BYTES;
use crate::http::response::problem::Problem;

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
    pub(crate) async fn json(&mut self, app: &App, key: KeyNumber) -> Result<JsonBody, Problem> {
        if !is_json(self.head.headers()) {
            return Err(not_json());
        }
        self.bytes(app, key).await.map(JsonBody)
    }

    /// The body of a request that may have one, in JSON.
    pub(crate) async fn json_if_any(&mut self, app: &App, key: KeyNumber) -> Result<JsonBody, Problem> {
        let is_json = is_json(self.head.headers());
        let bytes = self.bytes(app, key).await?;
        if bytes.is_empty() || is_json { Ok(JsonBody(bytes)) } else { Err(not_json()) }
    }

    async fn bytes(&mut self, app: &App, key: KeyNumber) -> Result<Bytes, Problem> {
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
    /// Parses it as a `T`, which may borrow from it.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        parse(&self.0)
    }

    /// Parses it as a `T`; a body that is absent means the default.
    pub(crate) fn parse_or_default<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, Problem> {
        if self.0.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { self.parse() }
    }
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

/// A `T` that is written as a JSON object. serde's derived structs would take an array of their values as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map(|Object(body)| body).map_err(|_| explain::<T>(bytes))
}

/// Parses a body again, to find what is wrong with it and where.
fn explain<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Problem {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut error = match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Ok(_) => {
            let detail = reader.end().map_or_else(|error| error.to_string(), |()| "not a valid body".into());
            return Problem::invalid("", shown(&detail, SHOWN_CHARS));
        }
        Err(error) => FieldError { pointer: pointer(error.path()), detail: error.inner().to_string() },
    };
    let named =
        named_field(&error.detail, "missing field `").or_else(|| named_field(&error.detail, "duplicate field `"));
    if let Some(field) = named {
        error.pointer = format!("{}/{}", error.pointer, escaped(field));
    }
    // Both may repeat a part of the body, a name or a text of any length.
    error.pointer = shown(&error.pointer, SHOWN_CHARS).into_owned();
    error.detail = shown(&error.detail, SHOWN_CHARS).into_owned();
    Problem::invalid_all(vec![error])
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { variant } => escaped(variant),
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The field that serde's message names behind `opening`.
fn named_field<'a>(message: &'a str, opening: &str) -> Option<&'a str> {
    message.strip_prefix(opening)?.split('`').next()
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
