//! What several verbs take, and how single values are read.

use std::time::Duration;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use crate::api::{RequestStatus, Role, Timestamp};
use crate::client::IdempotencyKey;

/// One seller, or the key's own.
#[derive(Debug, Args)]
pub(in crate::program) struct OneSeller {
    /// A seller's id, or `me`
    #[arg(value_name = "SELLER", default_value = "me", value_parser = seller)]
    pub(in crate::program) id: SellerArgument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::program) struct SellerArgument(pub(in crate::program) Option<Uuid>);

#[derive(Debug, Clone, Copy, Args)]
pub(in crate::program) struct SpanArguments {
    /// Not before this moment (RFC 3339)
    #[arg(long)]
    pub(in crate::program) from: Option<Timestamp>,
    /// Before this moment (RFC 3339)
    #[arg(long)]
    pub(in crate::program) to: Option<Timestamp>,
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub(in crate::program) struct Listing {
    /// Most items
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::program) limit: u32,
    /// Where an earlier list ended: its `next`
    #[arg(long)]
    pub(in crate::program) after: Option<String>,
}

/// Names a command, so that it is done once however often it is sent.
#[derive(Debug, Clone, Args)]
pub(in crate::program) struct Once {
    /// A key of your own; random unless given
    #[arg(long)]
    pub(in crate::program) idempotency_key: Option<IdempotencyKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::program) enum RoleArgument {
    Admin,
    Seller,
    Auditor,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Role {
        match role {
            RoleArgument::Admin => Role::Admin,
            RoleArgument::Seller => Role::Seller,
            RoleArgument::Auditor => Role::Auditor,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::program) enum StatusArgument {
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

fn seller(text: &str) -> Result<SellerArgument, String> {
    if text == "me" {
        return Ok(SellerArgument(None));
    }
    Uuid::parse_str(text).map(|id| SellerArgument(Some(id))).map_err(|error| format!("neither `me` nor an id: {error}"))
}

pub(super) fn tag(text: &str) -> Result<String, String> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok(text.to_owned()) } else { Err("a tag is 1 to 16 ASCII letters and digits".to_owned()) }
}

/// Reads `500ms`, `30s`, `2m`, `24h`; more than nothing.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is written as 500ms, 30s, 2m or 24h".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a time begins with a number".to_owned())?;
    match number.checked_mul(unit_ms) {
        Some(ms) if (1..=86_400_000).contains(&ms) => Ok(Duration::from_millis(ms)),
        Some(_) | None => Err("a time is between 1ms and 24h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "5", "s", "0s", "1d", "25h", "-1s", "1.5s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
