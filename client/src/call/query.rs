//! A path with its query, percent-encoded.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// What does not stand for itself in a value.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path that grows by `name=value` pairs.
#[derive(Debug, Clone)]
pub struct Query {
    path: String,
    /// What stands before the next pair: `?` before the first, `&` after.
    separator: char,
}

impl Query {
    /// A path without a query.
    pub fn new(path: impl Into<String>) -> Query {
        Query { path: path.into(), separator: '?' }
    }

    /// Appends a pair. `name` is not escaped: it must be a literal of the contract.
    #[must_use]
    pub fn and(mut self, name: &str, value: impl Display) -> Query {
        self.path.push(self.separator);
        self.path.push_str(name);
        self.path.push('=');
        self.path.extend(escaped(&value.to_string()));
        self.separator = '&';
        self
    }

    /// Appends a pair where there is a value.
    #[must_use]
    pub fn and_some(self, name: &str, value: Option<impl Display>) -> Query {
        match value {
            Some(value) => self.and(name, value),
            None => self,
        }
    }

    /// The path and its query.
    pub fn finish(self) -> String {
        self.path
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(crate) fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_absent_ones_left_out() {
        let path =
            Query::new("/v1/charges").and("phone", "+98 9").and_some("after", None::<&str>).and("limit", 5).finish();
        assert_eq!(path, "/v1/charges?phone=%2B98%209&limit=5");
    }
}
