//! The settings of `etebar-node init`, which are fixed when a data directory is made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use etebar_api::{read_address, read_duration};
use uuid::Uuid;

use crate::identity::MemberAddress;

/// Longest memory of an idempotency key: ten years.
const KEY_WINDOW_MAX: Duration = Duration::from_hours(3_650 * 24);
/// Shortest memory of an idempotency key. Source: callers retry a lost answer, over a network and an election, for longer.
const KEY_WINDOW_MIN: Duration = Duration::from_secs(1);
/// Key windows shorter than this are warned of, in milliseconds. Source: the client library retries for half a minute.
const KEY_WINDOW_SHORT_MS: u64 = 60_000;

/// The settings of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory to make: absent or empty.
    #[arg(long, env = "ETEBAR_DATA_DIR")]
    pub data_dir: PathBuf,
    /// This node's number, 1 or more.
    #[arg(long, env = "ETEBAR_ID", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub id: u64,
    /// The cluster's id, a UUID that is the same on every node.
    #[arg(long, env = "ETEBAR_CLUSTER_ID")]
    pub cluster_id: Uuid,
    /// A founding member, as `ID=API_ADDRESS/PEER_ADDRESS`; repeat it, or separate with commas.
    #[arg(long = "member", env = "ETEBAR_MEMBERS", value_delimiter = ',', required = true, value_parser = parse_member)]
    pub members: Vec<(u64, MemberAddress)>,
    /// BLAKE3 of the first admin key, 64 hexadecimal digits, as `keygen` prints it.
    #[arg(long, env = "ETEBAR_ADMIN_KEY_HASH", value_parser = parse_hash)]
    pub admin_key_hash: String,
    /// The ledger's one currency: 1 to 8 capital letters.
    #[arg(long, env = "ETEBAR_CURRENCY", default_value = "IRT", value_parser = parse_currency)]
    pub currency: String,
    /// Decimal places of an amount.
    #[arg(long, env = "ETEBAR_PLACES", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub places: u8,
    /// How long an idempotency key is remembered, in ledger time: at least 1s; under 1m is for tests alone.
    #[arg(long, env = "ETEBAR_KEY_WINDOW", default_value = "24h", value_parser = read_duration)]
    pub key_window: Duration,
    /// How many idempotency keys are remembered at most.
    #[arg(long, env = "ETEBAR_KEYS_MAX", default_value_t = 40_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub keys_max: u64,
}

impl InitArgs {
    /// The members by number; the error is one line.
    pub fn member_map(&self) -> Result<BTreeMap<u64, MemberAddress>, String> {
        let mut members = BTreeMap::new();
        for (id, address) in &self.members {
            if members.insert(*id, address.clone()).is_some() {
                return Err(format!("--member {id} is given twice"));
            }
        }
        let mut addresses: Vec<&String> = members.values().flat_map(|member| [&member.api, &member.peer]).collect();
        addresses.sort();
        if let Some([twice, _]) = addresses.array_windows().find(|[one, next]| one == next) {
            return Err(format!("--member: the address {twice} is given twice"));
        }
        if self.key_window > KEY_WINDOW_MAX {
            return Err("--key-window is at most 3650d".to_owned());
        }
        if self.key_window < KEY_WINDOW_MIN {
            return Err("--key-window is at least 1s: a retry after it is sold twice".to_owned());
        }
        if !members.contains_key(&self.id) {
            return Err(format!("--id {} is not among the members", self.id));
        }
        Ok(members)
    }
}

/// The warning for an operator whose clients may retry for longer than their keys are remembered.
pub fn key_window_warning(key_window_ms: u64) -> Option<String> {
    (key_window_ms < KEY_WINDOW_SHORT_MS).then(|| {
        format!(
            "idempotency keys are remembered for {key_window_ms} ms only, which is for tests: a charge that is retried \
             later than that is sold twice; in production make the cluster with --key-window 24h"
        )
    })
}

pub(super) fn parse_member(text: &str) -> Result<(u64, MemberAddress), String> {
    let form = "must be ID=API_ADDRESS/PEER_ADDRESS, as in 1=127.0.0.1:7101/127.0.0.1:7121";
    let (id, addresses) = text.split_once('=').ok_or(form)?;
    let (api, peer) = addresses.split_once('/').ok_or(form)?;
    let id: u64 = id.trim().parse().ok().filter(|id| (1..=1_000_000).contains(id)).ok_or(form)?;
    for address in [api, peer] {
        read_address(address).map_err(|error| format!("{form}: {error}"))?;
    }
    Ok((id, MemberAddress { api: api.to_owned(), peer: peer.to_owned() }))
}

pub(super) fn parse_hash(text: &str) -> Result<String, String> {
    ledger::Digest::from_hex(text)
        .map(|hash| hash.to_string())
        .ok_or_else(|| "must be 64 hexadecimal digits".to_owned())
}

fn parse_currency(text: &str) -> Result<String, String> {
    let fits = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if fits { Ok(text.to_owned()) } else { Err("must be 1 to 8 capital letters".to_owned()) }
}
