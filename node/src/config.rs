//! Settings: each is a flag, an environment variable and a key of the TOML file; the first of these that says it wins.
//!
//! Units are in the value (`50ms`, `24h`) or bytes. A wrong setting is one line and exit code 2.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};
use etebar_api::{read_address, read_duration};
use serde::Deserialize;
use uuid::Uuid;

use crate::identity::{FORMAT, MemberAddress};
use crate::pki::PkiVerb;
use crate::raft::link::hello::LINK_VERSION;
use crate::storage::LOG_BYTES_MIN;
use crate::tls::TlsPaths;

/// What `--version` says: builds with the same data format take over each other's data, those with the same peer link also
/// work beside each other.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (data format {FORMAT}, peer link {LINK_VERSION})", env!("CARGO_PKG_VERSION")));

/// One node of an Etebar cluster: a replicated ledger for B2B airtime sales.
#[derive(Debug, Parser)]
#[command(name = "etebar-node", version = VERSION.as_str(), about, disable_help_subcommand = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Draw an admin key: print it once, with the hash that `init` takes.
    Keygen,
    /// Make a node's data directory. Give the same members, currency, window and key hash on every node.
    ///
    /// Example: etebar-node init --data-dir /var/lib/etebar --id 1 --cluster-id $(uuidgen) --admin-key-hash HEX
    /// --member 1=10.0.0.1:7101/10.0.0.1:7121 --member 2=… --member 3=…
    Init(Box<InitArgs>),
    /// Serve a data directory that `init` made.
    ///
    /// Example: etebar-node run --data-dir /var/lib/etebar --log-bytes 1073741824
    Run(Box<RunArgs>),
    /// Make the certificates that nodes prove their numbers to each other with.
    ///
    /// An authority once (`pki ca`), then one certificate for each node (`pki node`); `run` takes them.
    #[command(subcommand, disable_help_subcommand = true)]
    Pki(PkiVerb),
}

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
    /// A node the cluster begins with, as ID=API_ADDRESS/PEER_ADDRESS; repeat it, or separate with commas.
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
    #[arg(long, env = "ETEBAR_KEYS_MAX", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub keys_max: u64,
}

impl InitArgs {
    /// The members by number; the error is one line.
    pub fn member_map(&self) -> Result<BTreeMap<u64, MemberAddress>, String> {
        let mut members = BTreeMap::new();
        for (id, address) in &self.members {
            if members.insert(*id, address.clone()).is_some() {
                return Err(format!("--node {id} is given twice"));
            }
        }
        let mut addresses: Vec<&String> = members.values().flat_map(|member| [&member.api, &member.peer]).collect();
        addresses.sort();
        if let Some(twice) = addresses.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("--member: the address {} is given twice", twice[0]));
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

/// The settings of `run`. The same names, with dashes, are the keys of the TOML file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RunArgs {
    /// The directory that `init` made.
    #[arg(long, env = "ETEBAR_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// A TOML file with any of these settings; flags and environment win over it.
    #[arg(long, env = "ETEBAR_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Refuse the data directory where it is not this node's.
    #[arg(long, env = "ETEBAR_ID")]
    pub id: Option<u64>,
    /// Refuse the data directory where it is not of this cluster.
    #[arg(long, env = "ETEBAR_CLUSTER_ID")]
    pub cluster_id: Option<Uuid>,
    /// Where to listen for the HTTP API [default: this node's API address]
    #[arg(long, env = "ETEBAR_API_LISTEN")]
    pub api_listen: Option<SocketAddr>,
    /// The API's certificate and those that lead to its authority, a PEM file; it is read again when it changes
    #[arg(long, env = "ETEBAR_API_CERT", value_name = "FILE")]
    pub api_cert: Option<PathBuf>,
    /// The private key of the API's certificate, a PEM file; it is read again when it changes
    #[arg(long, env = "ETEBAR_API_KEY", value_name = "FILE")]
    pub api_key: Option<PathBuf>,
    /// Serve the API without TLS also off this machine's loopback, where API keys can be read on the way: say it only
    /// where a proxy before this node does TLS, or nobody else is on the network
    #[arg(long, env = "ETEBAR_API_PLAINTEXT", value_name = "true or false", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub api_plaintext: Option<bool>,
    /// Where to listen for peers [default: this node's peer address]
    #[arg(long, env = "ETEBAR_PEER_LISTEN")]
    pub peer_listen: Option<SocketAddr>,
    /// The authorities that vouch for nodes, PEM: ca.pem of `pki ca`; two of them during a rotation
    #[arg(long, env = "ETEBAR_PEER_CA")]
    pub peer_ca: Option<PathBuf>,
    /// This node's certificate, PEM: node-N.pem of `pki node`. Read again when it changes, as are the others
    #[arg(long, env = "ETEBAR_PEER_CERT")]
    pub peer_cert: Option<PathBuf>,
    /// Its private key, PEM: node-N.key
    #[arg(long, env = "ETEBAR_PEER_KEY")]
    pub peer_key: Option<PathBuf>,
    /// The authorities' revocation lists, PEM: crl.pem of `pki revoke`; nodes whose certificates are on one are refused, and
    /// their connections closed. Read again when it changes [default: no list]
    #[arg(long, env = "ETEBAR_PEER_CRL", value_name = "FILE")]
    pub peer_crl: Option<PathBuf>,
    /// The log folder stays under this many bytes [default: 268435456, at least 16777216]
    #[arg(long, env = "ETEBAR_LOG_BYTES")]
    pub log_bytes: Option<u64>,
    /// Free bytes of the disk below which new records are refused; reads go on [default: 67108864, at least 16777216]
    #[arg(long, env = "ETEBAR_DISK_RESERVE")]
    pub disk_reserve: Option<u64>,
    /// Pause between two heartbeats of the leader [default: 50ms]
    #[arg(long, env = "ETEBAR_HEARTBEAT", value_parser = read_duration)]
    #[serde(with = "durations")]
    pub heartbeat: Option<Duration>,
    /// Shortest election time-out [default: 200ms]
    #[arg(long, env = "ETEBAR_ELECTION_MIN", value_parser = read_duration)]
    #[serde(with = "durations")]
    pub election_min: Option<Duration>,
    /// Longest election time-out, and the leader's lease [default: 400ms]
    #[arg(long, env = "ETEBAR_ELECTION_MAX", value_parser = read_duration)]
    #[serde(with = "durations")]
    pub election_max: Option<Duration>,
    /// Largest request body, in bytes [default: 2097152]
    #[arg(long, env = "ETEBAR_BODY_BYTES")]
    pub body_bytes: Option<u64>,
    /// Longest time for one request [default: 10s]
    #[arg(long, env = "ETEBAR_REQUEST_TIMEOUT", value_parser = read_duration)]
    #[serde(with = "durations")]
    pub request_timeout: Option<Duration>,
    /// Longest time for the head of a request, and for the first byte of a new connection [default: 5s]
    #[arg(long, env = "ETEBAR_HEAD_TIMEOUT", value_parser = read_duration)]
    #[serde(with = "durations")]
    pub head_timeout: Option<Duration>,
    /// Most commands that wait to be proposed; more are refused as overloaded [default: 16384]
    #[arg(long, env = "ETEBAR_WAITING_MAX")]
    pub waiting_max: Option<u64>,
    /// Most commands a second of one API key at this node (a batch of n charges counts n, a replay a tenth); more are
    /// refused with 429 [default: no bound]
    #[arg(long, env = "ETEBAR_RATE_PER_KEY", value_name = "N")]
    pub rate_per_key: Option<u64>,
    /// Most open connections of clients; more are turned away with a 503 [default: 10000]
    #[arg(long, env = "ETEBAR_CONNECTIONS_MAX")]
    pub connections_max: Option<u64>,
    /// Most of them from one client address, of IPv6 from one /64, so that no client holds all; where all come through one
    /// proxy, set it to connections-max [default: half of connections-max]
    #[arg(long, env = "ETEBAR_CONNECTIONS_PER_ADDRESS")]
    pub connections_per_address: Option<u64>,
    /// Say that this node's clock is right, for this start alone: where this node leads, ledger time starts at its clock and
    /// follows it, although no other node's clock confirms it. Set forward wrongly, it lets idempotency keys be forgotten
    #[arg(long, env = "ETEBAR_TRUST_CLOCK")]
    pub trust_clock: bool,
    /// What to log, as `info` or `warn,etebar_node=debug` [default: info,openraft=error,sled=off]
    #[arg(long, env = "ETEBAR_LOG_LEVEL")]
    pub log_level: Option<String>,
}

/// The settings of a running node, complete and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Whose it must be, if said.
    pub id: Option<u64>,
    /// Of which cluster it must be, if said.
    pub cluster_id: Option<Uuid>,
    /// Where to listen for the API, if not at the node's address.
    pub api_listen: Option<SocketAddr>,
    /// How the API is protected on its way.
    pub api_protection: ApiProtection,
    /// Where to listen for peers, if not at the node's address.
    pub peer_listen: Option<SocketAddr>,
    /// What this node proves its number with.
    pub peer_files: TlsPaths,
    /// Bound of the log folder, in bytes.
    pub log_bytes: u64,
    /// Free bytes of the disk that are kept.
    pub disk_reserve: u64,
    /// Pause between two heartbeats.
    pub heartbeat: Duration,
    /// Shortest election time-out.
    pub election_min: Duration,
    /// Longest election time-out.
    pub election_max: Duration,
    /// Largest body, in bytes.
    pub body_bytes: usize,
    /// Longest time for a request.
    pub request_timeout: Duration,
    /// Longest time for its head.
    pub head_timeout: Duration,
    /// Most commands that wait.
    pub waiting_max: usize,
    /// Most commands a second of one API key, if bounded.
    pub rate_per_key: Option<NonZeroU32>,
    /// Most open connections.
    pub connections_max: usize,
    /// Whether the operator says that this node's clock is right.
    pub trust_clock: bool,
    /// Most open connections from one client address.
    pub connections_per_address: usize,
    /// What to log.
    pub log_level: String,
}

/// How the API's bytes are protected on their way: they carry keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiProtection {
    /// By TLS, with these files.
    Tls(TlsPaths),
    /// By never leaving this machine.
    Loopback,
    /// By something else, as the operator says.
    Elsewhere,
}

impl ApiProtection {
    fn of(certificate: Option<PathBuf>, key: Option<PathBuf>, plaintext: bool) -> Result<Self, String> {
        match (certificate, key, plaintext) {
            (Some(certificate), Some(key), false) => {
                Ok(ApiProtection::Tls(TlsPaths { certificate, key, authority: None, revoked: None }))
            }
            (None, None, false) => Ok(ApiProtection::Loopback),
            (None, None, true) => Ok(ApiProtection::Elsewhere),
            (Some(_), None, _) => Err("--api-cert needs --api-key".to_owned()),
            (None, Some(_), _) => Err("--api-key needs --api-cert".to_owned()),
            (Some(_), Some(_), true) => Err("--api-plaintext and --api-cert exclude each other".to_owned()),
        }
    }

    /// Whether the API may be served at `address`; the error is one line.
    ///
    /// # Errors
    /// Where nothing protects it and the address is not of this machine's loopback.
    pub fn check(&self, address: SocketAddr) -> Result<(), String> {
        match self {
            ApiProtection::Tls(_) | ApiProtection::Elsewhere => Ok(()),
            ApiProtection::Loopback if address.ip().to_canonical().is_loopback() => Ok(()),
            ApiProtection::Loopback => Err(format!(
                "without TLS the API is served on loopback alone, and {address} is not: give --api-cert and --api-key, or \
                 --api-plaintext where a proxy does TLS"
            )),
        }
    }
}

/// Longest memory of an idempotency key: ten years.
const KEY_WINDOW_MAX: Duration = Duration::from_secs(3_650 * 86_400);
/// Shortest memory of an idempotency key. Source: callers retry a lost answer, over a network and an election, for longer.
const KEY_WINDOW_MIN: Duration = Duration::from_secs(1);
/// Memories shorter than this are told of, in milliseconds. Source: the client library retries for half a minute.
const KEY_WINDOW_SHORT_MS: u64 = 60_000;
/// Least bytes of the disk to keep. Source: eight segments of the databases, so that what was accepted can be written.
const DISK_RESERVE_MIN: u64 = 16 << 20;
/// Highest rate of a key that can be set: more than a node decides.
const RATE_MAX: u32 = 1_000_000;
/// Largest body that can be asked for, in bytes: a batch of 8,000 charges has less than 2 MiB.
const BODY_BYTES_MAX: u64 = 64 << 20;

impl RunArgs {
    /// The settings, with the file's where flags and environment are silent, and the defaults where all are.
    pub fn complete(self) -> Result<Settings, String> {
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None => Self::default(),
        };
        let connections_max = self.connections_max.or(file.connections_max).unwrap_or(10_000);
        let per_address = self.connections_per_address.or(file.connections_per_address);
        let settings = Settings {
            data_dir: self.data_dir.or(file.data_dir).ok_or("--data-dir is missing")?,
            id: self.id.or(file.id),
            cluster_id: self.cluster_id.or(file.cluster_id),
            api_listen: self.api_listen.or(file.api_listen),
            api_protection: ApiProtection::of(
                self.api_cert.or(file.api_cert),
                self.api_key.or(file.api_key),
                self.api_plaintext.or(file.api_plaintext).unwrap_or(false),
            )?,
            peer_listen: self.peer_listen.or(file.peer_listen),
            peer_files: TlsPaths {
                authority: Some(peer_file("--peer-ca", self.peer_ca.or(file.peer_ca))?),
                certificate: peer_file("--peer-cert", self.peer_cert.or(file.peer_cert))?,
                key: peer_file("--peer-key", self.peer_key.or(file.peer_key))?,
                revoked: self.peer_crl.or(file.peer_crl),
            },
            log_bytes: self.log_bytes.or(file.log_bytes).unwrap_or(256 << 20),
            disk_reserve: self.disk_reserve.or(file.disk_reserve).unwrap_or(64 << 20),
            heartbeat: self.heartbeat.or(file.heartbeat).unwrap_or(Duration::from_millis(50)),
            election_min: self.election_min.or(file.election_min).unwrap_or(Duration::from_millis(200)),
            election_max: self.election_max.or(file.election_max).unwrap_or(Duration::from_millis(400)),
            body_bytes: within(
                "body-bytes",
                self.body_bytes.or(file.body_bytes).unwrap_or(2 << 20),
                1,
                BODY_BYTES_MAX,
            )?,
            request_timeout: self.request_timeout.or(file.request_timeout).unwrap_or(Duration::from_secs(10)),
            head_timeout: self.head_timeout.or(file.head_timeout).unwrap_or(Duration::from_secs(5)),
            waiting_max: within("waiting-max", self.waiting_max.or(file.waiting_max).unwrap_or(16_384), 1, 1 << 20)?,
            rate_per_key: self.rate_per_key.or(file.rate_per_key).map(rate_per_key).transpose()?,
            connections_max: within("connections-max", connections_max, 1, 1 << 20)?,
            connections_per_address: within(
                "connections-per-address",
                per_address.unwrap_or(connections_max.div_ceil(2)),
                1,
                1 << 20,
            )?,
            trust_clock: self.trust_clock || file.trust_clock,
            log_level: self.log_level.or(file.log_level).unwrap_or_else(|| "info,openraft=error,sled=off".to_owned()),
        };
        settings.check()?;
        Ok(settings)
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.log_bytes < LOG_BYTES_MIN {
            return Err(format!("--log-bytes {} is too small: at least {LOG_BYTES_MIN}", self.log_bytes));
        }
        if self.disk_reserve < DISK_RESERVE_MIN {
            return Err(format!("--disk-reserve {} is too small: at least {DISK_RESERVE_MIN}", self.disk_reserve));
        }
        for (name, value) in [
            ("heartbeat", self.heartbeat),
            ("election-min", self.election_min),
            ("request-timeout", self.request_timeout),
            ("head-timeout", self.head_timeout),
        ] {
            if value < Duration::from_millis(1) || value > Duration::from_secs(600) {
                return Err(format!("--{name} must be between 1ms and 10m"));
            }
        }
        if self.election_min < self.heartbeat * 2 || self.election_max <= self.election_min {
            return Err("the election time-outs must fit: 2 * heartbeat <= election-min < election-max".to_owned());
        }
        Ok(())
    }
}

/// What to tell an operator whose clients may retry for longer than their keys are remembered.
pub fn key_window_warning(key_window_ms: u64) -> Option<String> {
    (key_window_ms < KEY_WINDOW_SHORT_MS).then(|| {
        format!(
            "idempotency keys are remembered for {key_window_ms} ms only, which is for tests: a charge that is retried \
             later than that is sold twice; in production make the cluster with --key-window 24h"
        )
    })
}

fn rate_per_key(value: u64) -> Result<NonZeroU32, String> {
    let fitting = u32::try_from(value).ok().filter(|rate| *rate <= RATE_MAX).and_then(NonZeroU32::new);
    fitting.ok_or_else(|| format!("--rate-per-key must be between 1 and {RATE_MAX}; leave it out for no bound"))
}

fn peer_file(name: &str, given: Option<PathBuf>) -> Result<PathBuf, String> {
    given
        .ok_or_else(|| format!("{name} is missing: nodes talk by mutual TLS alone (`etebar-node pki` makes the files)"))
}

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<usize, String> {
    let fitting = usize::try_from(value).ok().filter(|_| (least..=most).contains(&value));
    fitting.ok_or_else(|| format!("--{name} must be between {least} and {most}"))
}

fn read_file(path: &PathBuf) -> Result<RunArgs, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let place =
            error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
        format!("{}, line {place}: {}", path.display(), error.message())
    })
}

fn parse_member(text: &str) -> Result<(u64, MemberAddress), String> {
    let form = "must be ID=API_ADDRESS/PEER_ADDRESS, as in 1=127.0.0.1:7101/127.0.0.1:7121";
    let (id, addresses) = text.split_once('=').ok_or(form)?;
    let (api, peer) = addresses.split_once('/').ok_or(form)?;
    let id: u64 = id.trim().parse().ok().filter(|id| (1..=1_000_000).contains(id)).ok_or(form)?;
    for address in [api, peer] {
        read_address(address).map_err(|error| format!("{form}: {error}"))?;
    }
    Ok((id, MemberAddress { api: api.to_owned(), peer: peer.to_owned() }))
}

fn parse_hash(text: &str) -> Result<String, String> {
    ledger::Digest::from_hex(text)
        .map(|hash| hash.to_string())
        .ok_or_else(|| "must be 64 hexadecimal digits".to_owned())
}

fn parse_currency(text: &str) -> Result<String, String> {
    let fits = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if fits { Ok(text.to_owned()) } else { Err("must be 1 to 8 capital letters".to_owned()) }
}

/// Durations in the TOML file, as text.
mod durations {
    use super::{Duration, read_duration};
    use serde::{Deserialize, Deserializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(input)?;
        read_duration(&text).map(Some).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn run(arguments: &[&str]) -> Result<Settings, String> {
        let peers = ["--peer-ca", "ca.pem", "--peer-cert", "node-1.pem", "--peer-key", "node-1.key"];
        run_bare(&[&peers, arguments].concat())
    }

    fn run_bare(arguments: &[&str]) -> Result<Settings, String> {
        let line = ["etebar-node", "run", "--data-dir", "d"].iter().chain(arguments);
        let parsed = CommandLine::try_parse_from(line).map_err(|error| error.to_string())?;
        let Verb::Run(run) = parsed.verb else { panic!("run") };
        run.complete()
    }

    #[test]
    fn a_member_without_certificates_does_not_run() {
        let given = ["--peer-ca", "ca.pem", "--peer-cert", "node-1.pem", "--peer-key", "node-1.key"];
        for missing in [0, 2, 4] {
            let mut rest = given.to_vec();
            let name = rest.drain(missing..missing + 2).next().unwrap();
            let told = run_bare(&rest).unwrap_err();
            assert!(told.contains(&format!("{name} is missing")) && !told.contains('\n'), "{told}");
        }
    }

    #[test]
    fn certificates_may_be_named_in_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "peer-ca = \"a\"\npeer-cert = \"b\"\npeer-key = \"c\"\npeer-crl = \"e\"").unwrap();
        let settings = run_bare(&["--config", file.path().to_str().unwrap(), "--peer-cert", "d"]).unwrap();
        let TlsPaths { authority, certificate, key, revoked } = settings.peer_files;
        assert_eq!([authority.unwrap(), certificate, key, revoked.unwrap()], ["a", "d", "c", "e"].map(PathBuf::from));
        assert_eq!(run(&[]).unwrap().peer_files.revoked, None, "no list is asked for");
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let settings = run(&[]).unwrap();
        assert_eq!((settings.log_bytes, settings.waiting_max), (268_435_456, 16_384));
        assert_eq!((settings.election_max, settings.rate_per_key), (Duration::from_millis(400), None));
        assert_eq!((settings.connections_max, settings.connections_per_address), (10_000, 5_000));
        assert_eq!(run(&["--connections-max", "7"]).unwrap().connections_per_address, 4);
        assert!(run(&["--connections-per-address", "0"]).is_err());
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "log-bytes = 33554432\nheartbeat = \"20ms\"\nrate-per-key = 50").unwrap();
        let path = file.path().to_str().unwrap();
        let settings = run(&["--config", path, "--heartbeat", "30ms"]).unwrap();
        assert_eq!((settings.log_bytes, settings.heartbeat), (33_554_432, Duration::from_millis(30)));
        assert_eq!(settings.rate_per_key, NonZeroU32::new(50));
    }

    #[test]
    fn a_wrong_setting_is_told_in_one_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "\nlog-size = 1").unwrap();
        let told = run(&["--config", file.path().to_str().unwrap()]).unwrap_err();
        assert!(told.contains("line 2") && !told.contains('\n'), "{told}");
        assert!(run(&["--log-bytes", "5"]).unwrap_err().contains("at least 16777216"));
        assert!(run(&["--election-max", "100ms"]).unwrap_err().contains("election"));
        assert!(run(&["--heartbeat", "fast"]).is_err());
        assert!(run(&["--rate-per-key", "0"]).unwrap_err().contains("between 1 and 1000000"));
    }

    #[test]
    fn a_key_window_is_a_second_at_least_and_told_of_below_a_minute() {
        let init = |window: &str| {
            let line = ["etebar-node", "init", "--data-dir", "d", "--id", "1", "--key-window", window];
            let more = ["--cluster-id", "00000000-0000-0000-0000-000000000001", "--member", "1=a:1/b:2"];
            let hash = "0".repeat(64);
            let line = line.into_iter().chain(more).chain(["--admin-key-hash", hash.as_str()]);
            let Verb::Init(init) = CommandLine::try_parse_from(line).unwrap().verb else { panic!("init") };
            init.member_map().map(|_| key_window_warning(init.key_window.as_millis() as u64).is_some())
        };
        for short in ["1ms", "999ms", "1ns"] {
            let told = init(short).unwrap_err();
            assert!(told.contains("at least 1s") && !told.contains('\n'), "{told}");
        }
        assert_eq!((init("1s"), init("59s"), init("1m"), init("24h")), (Ok(true), Ok(true), Ok(false), Ok(false)));
    }

    #[test]
    fn without_tls_the_api_stays_on_loopback_unless_it_is_asked_for() {
        let allows = |arguments: &[&str], address: &str| {
            run(arguments).unwrap().api_protection.check(address.parse().unwrap()).is_ok()
        };
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(allows(&[], address), "{address}");
        }
        let tls = ["--api-cert", "c", "--api-key", "k"];
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert!(!allows(&[], address) && !allows(&["--api-plaintext=false"], address), "{address}");
            assert!(allows(&["--api-plaintext"], address) && allows(&tls, address), "{address}");
        }
        for wrong in [&["--api-cert", "c"][..], &["--api-key", "k"], &[&tls[..], &["--api-plaintext"]].concat()] {
            assert!(run(wrong).unwrap_err().contains("--api-cert"), "{wrong:?}");
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "api-plaintext = true").unwrap();
        let path = file.path().to_str().unwrap();
        assert!(allows(&["--config", path], "10.0.0.1:1"));
        assert!(!allows(&["--config", path, "--api-plaintext=false"], "10.0.0.1:1"));
    }

    #[test]
    fn a_member_is_an_id_and_two_addresses() {
        let (id, address) = parse_member("2=127.0.0.1:7102/127.0.0.1:7122").unwrap();
        assert_eq!((id, address.api.as_str(), address.peer.as_str()), (2, "127.0.0.1:7102", "127.0.0.1:7122"));
        for wrong in ["", "2", "0=a:1/b:2", "2=a:1", "2=a/b", "x=a:1/b:2", "2=a:0/b:1", "2=::1:7101/b:1", "2=a:1/u@b:1"]
        {
            assert!(parse_member(wrong).is_err(), "{wrong}");
        }
    }
}
