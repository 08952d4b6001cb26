//! Addresses of servers as `host:port`, read in one way for the peers of a node and the servers of a client.

use std::net::Ipv6Addr;

use http::uri::Authority;

/// The text is no `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an address is written as host:port, an IPv6 address in brackets: node-1.example:7101, 127.0.0.1:7101, [::1]:7101"
)]
pub struct AddressError;

/// Reads `host:port` of RFC 3986: a name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535.
///
/// The host comes as it is written, with its brackets.
pub fn read_address(text: &str) -> Result<(&str, u16), AddressError> {
    text.parse::<Authority>().map_err(|_| AddressError)?;
    let (host, port) = text.rsplit_once(':').ok_or(AddressError)?;
    // The library does not look into brackets, takes a user before the host, and a sign before the port.
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains(['[', ']', '@']),
    };
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
    port.filter(|port| is_host && *port != 0).map(|port| (host, port)).ok_or(AddressError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, host) in [
            ("127.0.0.1:7101", "127.0.0.1"),
            ("node-1.example:7101", "node-1.example"),
            ("etebar_1:7101", "etebar_1"),
            ("[::1]:7101", "[::1]"),
            ("[2001:db8::1]:7101", "[2001:db8::1]"),
        ] {
            assert_eq!(read_address(text), Ok((host, 7_101)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_no_address() {
        for text in [
            "",
            ":",
            ":7101",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:-1",
            "a: 80",
            " a:80",
            "::1:7101",
            "2001:db8::1:7101",
            "[::1]",
            "[::1]7101",
            "[::1",
            "[]:80",
            "[a]:80",
            "[::1]x:80",
            "x[::1]:80",
            "a:1:2",
            "user@a:80",
            "a/b:80",
            "a:80/",
            "a?b:80",
            "a#b:80",
            "http://a:80",
            "a%20b:80",
            "\u{6f1}:80",
            "a\0:80",
        ] {
            assert_eq!(read_address(text), Err(AddressError), "{text:?}");
        }
    }
}
