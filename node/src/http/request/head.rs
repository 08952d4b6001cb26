//! What a request's head must be, whatever it asks for (RFC 9110, RFC 9112): one `Host`, and no second value of a field
//! that has one. Two parties that read the same head apart, such as a proxy and a node, is how requests are smuggled.
//!
//! hyper has refused before what cannot be framed at all: a bad line, two lengths that differ, a coding without chunks.

use std::net::Ipv6Addr;

use axum::http::{HeaderMap, HeaderName, Request, Version, header};
use etebar_api::MIN_APPLIED;

use crate::http::response::problem::Problem;

/// Fields with one value, of which a second one is refused whatever is asked for. `Authorization` is refused as 401 and
/// `Idempotency-Key` where a key is taken; of two request ids neither is used.
const ONCE: [(HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "/Content-Type"), (HeaderName::from_static(MIN_APPLIED), "/Etebar-Min-Applied")];

/// Refuses a head that is not fit to be answered otherwise.
pub fn check<B>(request: &Request<B>) -> Result<(), Problem> {
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

/// A body comes whole or in chunks; nothing else is undone here, so nothing else may be claimed.
fn transfer_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(Problem::invalid("/Transfer-Encoding", "either chunked, once, or none")),
    }
}

/// Whether the body is as it stands: each content coding, if any, is `identity` (RFC 9110, section 8.4).
pub fn is_identity(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.all(|coding| coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
