//! A caller's trace, as it names it in a `traceparent` header: W3C Trace Context, version 00.
//!
//! A header that does not follow the recommendation is ignored, as it demands: the request is answered without a trace.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Characters of version 00: `00-`, the trace id, `-`, the caller's span, `-`, the flags.
const LENGTH: usize = 55;

/// The trace that a request belongs to, and the caller's span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// What the values of a request's `traceparent` headers say; `None` where there is not one, or it is not valid.
    ///
    /// Of a later version, which may have more fields, those of version 00 are read.
    pub fn parse<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let mut fields = known.split(|byte| *byte == b'-');
        let [version] = hex(fields.next()?)?;
        let context =
            Self { trace_id: hex(fields.next()?)?, span_id: hex(fields.next()?)?, flags: hex::<1>(fields.next()?)?[0] };
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let is_named = context.trace_id != [0; 16] && context.span_id != [0; 8];
        (is_whole && is_named && fields.next().is_none()).then_some(context)
    }
}

/// The trace's id: 32 hexadecimal digits.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.trace_id))
    }
}

/// As many bytes as these are digits of; lower case alone, as the recommendation has it.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(values: &[&str]) -> Option<String> {
        TraceContext::parse(values.iter().map(|value| value.as_bytes())).map(|context| context.to_string())
    }

    #[test]
    fn a_valid_header_names_its_trace() {
        let context = TraceContext::parse([VALID.as_bytes()].into_iter()).unwrap();
        assert_eq!(context.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((context.span_id, context.flags), ([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7], 1));
        assert_eq!(
            parse(&["00-0000000000000000000000000000000f-0000000000000001-ff"]).as_deref(),
            Some("0000000000000000000000000000000f"),
            "an id keeps its zeros, and unknown flags harm nothing"
        );
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6-a3ce929d0e0e473-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
        ] {
            assert_eq!(parse(&[wrong]), None, "{wrong:?}");
        }
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[VALID, VALID]), None, "of two neither counts");
    }

    #[test]
    fn of_a_later_version_the_known_fields_are_read() {
        for later in [
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-holds",
        ] {
            assert_eq!(parse(&[later]).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"), "{later}");
        }
    }
}
