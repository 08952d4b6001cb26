//! The grammar of an authority, as in `Host` (RFC 9110, section 7.2; RFC 3986, section 3.2).

use std::net::Ipv6Addr;

/// `uri-host [ ":" port ]` of RFC 3986, with a host that is not empty.
pub(crate) fn is_authority(text: &str) -> bool {
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
