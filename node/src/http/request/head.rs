//! A request's head: the rules that hold for every resource (RFC 9110, RFC 9112), and the fields that handlers read.
//!
//! One `Host`, and no second value of a field that has one: two parties that read the same head differently, such as a
//! proxy and a node, is how requests are smuggled. hyper has refused before what cannot be framed at all: a malformed
//! request line, two lengths that differ, a transfer coding without chunks.

use std::fmt::Display;
use std::net::Ipv6Addr;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Version, header};
use etebar_api::{Code, IDEMPOTENCY_KEY, MIN_APPLIED};
use ledger::IdempotencyKey;
use tokio::time::Instant;
use uuid::Uuid;

use super::query::{Query, whole_number};
use crate::http::app::App;
use crate::http::response::problem::Problem;

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    parts: Parts,
    parameter: Option<String>,
    /// When it must be answered.
    pub deadline: Instant,
}

impl FromRequest<App> for Head {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Self::new(request.into_parts().0, app).await
    }
}

impl Head {
    /// The head of a request that was just routed; its time-out begins now.
    pub(crate) async fn new(mut parts: Parts, app: &App) -> Result<Self, Problem> {
        let deadline = app.deadline();
        // A segment that does not decode names nothing.
        let parameters = RawPathParams::from_request_parts(&mut parts, app).await.map_err(|_| Problem::not_found())?;
        let parameter = parameters.iter().next().map(|(_, value)| value.to_owned());
        Ok(Self { parts, parameter, deadline })
    }

    /// The request's header fields.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The one variable segment of the path.
    pub(crate) fn parameter(&self) -> &str {
        self.parameter.as_deref().unwrap_or_default()
    }

    /// The id in the path. A text that is no id names nothing.
    pub(crate) fn id(&self) -> Result<Uuid, Problem> {
        Uuid::try_parse(self.parameter()).map_err(|_| Problem::not_found())
    }

    /// The query, which may have the `known` parameters.
    pub(crate) fn query(&self, known: &[&str]) -> Result<Query<'_>, Problem> {
        Query::parse(self.parts.uri.query(), known)
    }

    /// The position that this node must have reached before it answers; [`check`] has refused a second value.
    pub(crate) fn min_applied(&self) -> Result<Option<u64>, Problem> {
        let Some(value) = self.headers().get(MIN_APPLIED) else { return Ok(None) };
        let position = value.to_str().ok().filter(|text| !text.is_empty()).and_then(whole_number);
        position.map(Some).ok_or_else(|| Problem::invalid("/Etebar-Min-Applied", "a position is a whole number"))
    }

    /// The idempotency key that this request must have.
    pub(crate) fn idempotency_key(&self) -> Result<IdempotencyKey, Problem> {
        required(self.idempotency_key_if_any()?)
    }

    /// The idempotency key that this request may have.
    pub(crate) fn idempotency_key_if_any(&self) -> Result<Option<IdempotencyKey>, Problem> {
        idempotency_key(self.headers())
    }
}

fn required(key: Option<IdempotencyKey>) -> Result<IdempotencyKey, Problem> {
    key.ok_or_else(|| Problem::new(Code::IdempotencyKeyMissing, "this request needs an Idempotency-Key header"))
}

/// Bare, or in the draft's quotes; both name the same key. What stands between the quotes is the key as it is: a
/// backslash in it is a character like any other.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let invalid = |detail: &dyn Display| Problem::invalid("/Idempotency-Key", detail);
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(&"the header is given more than once"));
    }
    let Ok(text) = value.to_str() else {
        return Err(invalid(&"an idempotency key has visible ASCII characters and no quote inside"));
    };
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    IdempotencyKey::new(bare).map(Some).map_err(|error| invalid(&error))
}

/// Fields with one value, of which a second one is refused on every resource. `Authorization` is refused as 401 and
/// `Idempotency-Key` where one is read; of two request ids neither is used.
const ONCE: [(HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "/Content-Type"), (HeaderName::from_static(MIN_APPLIED), "/Etebar-Min-Applied")];

/// Refuses a head that no handler may see.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    host(headers, request.version())?;
    if request.uri().authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Problem::invalid("", "the address in the request line names a user"));
    }
    for (name, pointer) in &ONCE {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(Problem::invalid(*pointer, "the header is given more than once"));
        }
    }
    transfer_coding(headers)
}

/// RFC 9112, section 3.2. Where the request line names an authority, that counts and `Host` is not compared with it
/// (section 3.2.2); it must be there and well-formed all the same.
fn host(headers: &HeaderMap, version: Version) -> Result<(), Problem> {
    let mut values = headers.get_all(header::HOST).iter();
    let refused = |detail: &str| Err(Problem::invalid("/Host", detail));
    match (values.next(), values.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => refused("the header is missing"),
        (Some(_), Some(_)) => refused("the header is given more than once"),
        (Some(value), None) if value.to_str().is_ok_and(is_authority) => Ok(()),
        (Some(_), None) => refused("neither a host nor a host with a port"),
    }
}

/// `uri-host [ ":" port ]` of RFC 3986, with a host that is not empty.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (text, ""),
    };
    let port_fits = port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let host_fits = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => is_name(host),
    };
    port_fits && host_fits
}

/// A `reg-name` with something in it; an IPv4 address is one too.
fn is_name(host: &str) -> bool {
    let mut bytes = host.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    !host.is_empty()
}

/// A body is sent whole or in chunks; no other transfer coding is decoded here.
fn transfer_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(Problem::invalid("/Transfer-Encoding", "either chunked, once, or none")),
    }
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
        idempotency_key(&headers).map(|key| key.map(String::from)).map_err(|problem| problem.body().code)
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
        let problem = required(None).expect_err("no key was given");
        assert_eq!(problem.body().code, Code::IdempotencyKeyMissing);
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in [
            "a",
            "etebar.example",
            "etebar.example:443",
            "127.0.0.1",
            "127.0.0.1:7101",
            "[::1]",
            "[::1]:7101",
            "[2001:db8::1]:",
            "under_score",
            "xn--mgba3a4f16a",
            "a%20b",
            "n1:0",
            "host.",
            "a:",
        ] {
            assert!(is_authority(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:-1",
            "a:+1",
            "user@a",
            "a/b",
            "http://a",
            "a?b",
            "a#b",
            "[::1",
            "[::g]",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "[]",
            "a,b:80,c:80",
            "::1",
            "a\\b",
            "<a>",
            "a%2",
            "a%zz",
            "\"a\"",
            "a\tb",
            "[::1]x",
            "[::1]:x",
        ] {
            assert!(!is_authority(bad), "{bad}");
        }
    }
}
