//! The query of a request: named values, each at most once, and none that the resource does not know.
//!
//! A `+` is a plus here, not a space: numbers and times of this API have one, and nothing in it has a space.

use std::borrow::Cow;

use etebar_api::{DEFAULT_PAGE, MAX_PAGE, Timestamp};
use ledger::Time;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::http::response::problem::Problem;
use crate::raft::Consistency;

/// Most parameters of one query.
const PARAMETERS_MAX: usize = 16;

/// The parameters of one request, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query<'a> {
    values: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Parses the part after the question mark. Refuses a name that is not in `known` (`consistency` always is), one
    /// given twice, and a value that is no UTF-8.
    pub(crate) fn parse(raw: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut values: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let pointer = || format!("/{name}");
            if values.len() >= PARAMETERS_MAX || !(name == "consistency" || known.contains(&name)) {
                return Err(Problem::invalid(pointer(), "this parameter is not known here"));
            }
            if values.iter().any(|(before, _)| *before == name) {
                return Err(Problem::invalid(pointer(), "this parameter is given more than once"));
            }
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| Problem::invalid(pointer(), "this parameter is not UTF-8"))?;
            values.push((name, value));
        }
        Ok(Self { values })
    }

    /// The value of a parameter, where it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// How fresh the answer must be.
    pub(crate) fn consistency(&self) -> Result<Consistency, Problem> {
        match self.get("consistency") {
            None | Some("linearizable") => Ok(Consistency::Linearizable),
            Some("local") => Ok(Consistency::Local),
            Some(_) => Err(Problem::invalid("/consistency", "either linearizable or local")),
        }
    }

    /// How many items a page has at most.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_PAGE as usize) };
        match text.parse::<u32>() {
            Ok(limit @ 1..=MAX_PAGE) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(limit as usize),
            Ok(_) | Err(_) => Err(Problem::invalid("/limit", format_args!("a whole number from 1 to {MAX_PAGE}"))),
        }
    }

    /// A ledger time, where one was given.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Time>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let time = Timestamp::parse(text).map_err(|error| Problem::invalid(format!("/{name}"), error))?;
        Ok(Some(Time(time.0)))
    }

    /// An id, where one was given.
    pub(crate) fn uuid(&self, name: &str) -> Result<Option<Uuid>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        Uuid::try_parse(text).map(Some).map_err(|_| Problem::invalid(format!("/{name}"), "an id is a UUID"))
    }

    /// A position or a number, where one was given.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        whole_number(text)
            .map(Some)
            .ok_or_else(|| Problem::invalid(format!("/{name}"), "a whole number in decimal digits"))
    }
}

/// Reads decimal digits and nothing else.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<Query<'_>, Problem> {
        Query::parse(Some(raw), &["limit", "phone", "from"])
    }

    #[test]
    fn values_are_decoded_and_a_plus_stays_a_plus() {
        let query = parse("phone=+98%20912&limit=7&").expect("valid");
        assert_eq!(query.get("phone"), Some("+98 912"));
        assert_eq!(query.limit().ok(), Some(7));
        assert_eq!(query.get("from"), None);
    }

    #[test]
    fn unknown_doubled_and_undecodable_parameters_are_refused() {
        for raw in ["other=1", "limit=1&limit=1", "phone=%ff", "after=x"] {
            assert!(parse(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_limit_is_1_to_1000() {
        assert_eq!(parse("").and_then(|query| query.limit()).ok(), Some(100));
        assert_eq!(parse("limit=1000").and_then(|query| query.limit()).ok(), Some(1000));
        for raw in ["limit=0", "limit=1001", "limit=-1", "limit=+5", "limit=1e2", "limit=", "limit=99999999999"] {
            assert!(parse(raw).and_then(|query| query.limit()).is_err(), "{raw}");
        }
    }
}
