//! What several verbs take, and how single values are read.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use etebar::api::{RequestStatus, Role, Timestamp, read_duration};
use etebar::{IdempotencyKey, Span};
use ledger::Digest;

use crate::output::error::CliError;

/// One seller, or the key's own.
#[derive(Debug, Args)]
pub(crate) struct OneSeller {
    /// A seller's id, or `me`
    #[arg(value_name = "SELLER", default_value = "me", value_parser = seller)]
    pub(crate) id: SellerArgument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SellerArgument(pub(crate) Option<Uuid>);

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SpanArguments {
    /// From this time on: 2026-11-01 (midnight, UTC), 2026-11-01T08:30:00Z or 2026-11-01T12:00:00+03:30
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Timestamp>,
    /// Before this time: `--from 2026-11-01 --to 2026-12-01` is November
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<Timestamp>,
}

impl SpanArguments {
    /// The span, in which there is some time.
    pub(crate) fn span(self) -> Result<Span, CliError> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(CliError::usage(format!(
                "there is no time between --from {from} and --to {to}: --from is the earlier, and --to is not part of the \
                 span"
            ))),
            (from, to) => Ok(Span { from, to }),
        }
    }
}

/// From where on the journal is checked.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Verify {
    /// Go on after this entry, whose digest is trusted
    #[arg(long, value_name = "ENTRY", requires = "digest", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: Option<u64>,
    /// The digest that the journal had there: 64 hexadecimal digits
    #[arg(long, value_name = "DIGEST", requires = "from", value_parser = digest)]
    pub(crate) digest: Option<Digest>,
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::from_hex(text).ok_or_else(|| "a digest has 64 hexadecimal digits".to_owned())
}

/// How much of a list, how, and where to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Listing {
    /// Most items
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "all")]
    pub(crate) limit: u32,
    /// Everything, however much it is
    #[arg(long)]
    pub(crate) all: bool,
    /// Continue where an earlier list ended: its `next`
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
    /// How to print it; a table unless given, and one JSON page with --json
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Write it to this file, which appears when it is whole
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    // No doc comments: clap would then spread every verb's help over twice the lines.
    Table,
    Csv,
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is dumb
    Auto,
    Always,
    Never,
}

/// Names a command, so that it is done once however often it is sent.
#[derive(Debug, Clone, Args)]
pub(crate) struct Once {
    /// A key of your own; random unless given
    #[arg(long)]
    pub(crate) idempotency_key: Option<IdempotencyKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArgument {
    Admin,
    Seller,
    Auditor,
    Approver,
    Operator,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Role {
        match role {
            RoleArgument::Admin => Role::Admin,
            RoleArgument::Seller => Role::Seller,
            RoleArgument::Auditor => Role::Auditor,
            RoleArgument::Approver => Role::Approver,
            RoleArgument::Operator => Role::Operator,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArgument {
    Pending,
    Approved,
    Rejected,
}

impl From<StatusArgument> for RequestStatus {
    fn from(status: StatusArgument) -> RequestStatus {
        match status {
            StatusArgument::Pending => RequestStatus::Pending,
            StatusArgument::Approved => RequestStatus::Approved,
            StatusArgument::Rejected => RequestStatus::Rejected,
        }
    }
}

impl From<Colour> for anstream::ColorChoice {
    fn from(colour: Colour) -> anstream::ColorChoice {
        match colour {
            Colour::Auto => anstream::ColorChoice::Auto,
            Colour::Always => anstream::ColorChoice::Always,
            Colour::Never => anstream::ColorChoice::Never,
        }
    }
}

fn seller(text: &str) -> Result<SellerArgument, String> {
    if text == "me" {
        return Ok(SellerArgument(None));
    }
    Uuid::parse_str(text).map(|id| SellerArgument(Some(id))).map_err(|error| format!("neither `me` nor an id: {error}"))
}

pub(crate) fn tag(text: &str) -> Result<String, String> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok(text.to_owned()) } else { Err("a tag is 1 to 16 ASCII letters and digits".to_owned()) }
}

/// Reads RFC 3339, or a date alone as its midnight in UTC.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let midnight = if text.len() == "2026-11-01".len() { "T00:00:00.000Z" } else { "" };
    Timestamp::parse(&format!("{text}{midnight}"))
        .map_err(|_| "a time is written as 2026-11-01 (midnight, UTC) or as 2026-11-01T08:30:00Z".to_owned())
}

/// Reads the time between two polls: 200ms to 60s.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        fits if (200..=60_000).contains(&fits.as_millis()) => Ok(fits),
        _ => Err("an interval is between 200ms and 60s".to_owned()),
    }
}

/// Reads a duration between 1ms and 24h.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match read_duration(text)? {
        fits if (1..=86_400_000).contains(&fits.as_millis()) => Ok(fits),
        _ => Err("a time is between 1ms and 24h".to_owned()),
    }
}

/// Reads an address, `HOST:PORT`.
pub(crate) fn address(text: &str) -> Result<String, String> {
    etebar::api::read_address(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl Once {
    /// The caller's key, or a random one: made here, once for all attempts.
    pub(crate) fn key(self) -> Result<IdempotencyKey, CliError> {
        match self.idempotency_key {
            Some(key) => Ok(key),
            None => Ok(IdempotencyKey::random()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_bounds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for text in ["", "5", "s", "0s", "1us", "25h", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_is_its_midnight_in_utc() {
        assert_eq!(time("2026-11-01"), time("2026-11-01T00:00:00Z"));
        assert_eq!(time("2026-11-01T03:30:00+03:30"), time("2026-11-01"));
        for text in ["", "2026", "2026-13-01", "2026-11-31", "01.11.2026", "yesterday"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_has_some_time_in_it() {
        let span = |from: Option<&str>, to: Option<&str>| {
            let read = |text: Option<&str>| text.map(|text| time(text).unwrap());
            SpanArguments { from: read(from), to: read(to) }.span()
        };
        for (from, to) in
            [("2026-11-02", "2026-11-01"), ("2026-11-01", "2026-11-01"), ("2026-11-01T03:30:00+03:30", "2026-11-01")]
        {
            assert!(matches!(span(Some(from), Some(to)), Err(CliError::Usage(_))), "{from} {to}");
        }
        assert!(span(Some("2026-11-01"), Some("2026-11-01T00:00:00.001Z")).is_ok());
        assert!(span(Some("2026-11-01"), None).is_ok() && span(None, Some("2026-11-01")).is_ok());
    }

    #[test]
    fn an_interval_has_bounds() {
        assert_eq!(interval("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(interval("1m"), Ok(Duration::from_mins(1)));
        assert!(interval("199ms").is_err() && interval("61s").is_err());
    }
}
