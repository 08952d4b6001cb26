//! The settings of `etebar-node run`, as flags, environment and file give them, and how they are put together.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use etebar_api::read_duration;
use serde::Deserialize;
use uuid::Uuid;

use super::settings::{ApiProtection, Settings};
use crate::runtime::log::LogFormat;
use crate::tls::TlsPaths;

/// Highest rate of a key that can be set: more than a node decides.
const RATE_MAX: u32 = 1_000_000;
/// Largest body that can be set, in bytes: a batch of 8,000 charges has less than 2 MiB.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// The settings of `run`. The same names, with dashes, are the keys of the TOML file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RunArgs {
    /// The directory that `init` or `join` made.
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
    /// Serve the API without TLS also off this machine's loopback, where API keys can be read on the way: use it only
    /// where a proxy before this node does TLS, or the network is private
    #[arg(long, env = "ETEBAR_API_PLAINTEXT", value_name = "true or false", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub api_plaintext: Option<bool>,
    /// Where to listen for peers [default: this node's peer address]
    #[arg(long, env = "ETEBAR_PEER_LISTEN")]
    pub peer_listen: Option<SocketAddr>,
    /// Where to serve operators `/metrics`, `/livez` and `/readyz`, over plain HTTP and without a key [default: 127.0.0.1, on
    /// the port 40 above the API's]
    #[arg(long, env = "ETEBAR_OPS_LISTEN", value_name = "ADDRESS")]
    pub ops_listen: Option<SocketAddr>,
    /// The authorities of the nodes' certificates, PEM: ca.pem of `pki ca`; two of them during a rotation
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
    /// Free bytes of the disk below which new records are refused; reads continue [default: 67108864, at least 16777216]
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
    /// Most commands that wait to be proposed; more are refused as overloaded [default: 65536]
    #[arg(long, env = "ETEBAR_WAITING_MAX")]
    pub waiting_max: Option<u64>,
    /// Most commands a second of one API key at this node (a batch of n charges counts n, a replay a tenth); more are
    /// refused with 429 [default: no bound]
    #[arg(long, env = "ETEBAR_RATE_PER_KEY", value_name = "N")]
    pub rate_per_key: Option<u64>,
    /// Most open connections of clients; more are refused with a 503 [default: 10000]
    #[arg(long, env = "ETEBAR_CONNECTIONS_MAX")]
    pub connections_max: Option<u64>,
    /// Most of them from one client address, of IPv6 from one /64, so that no client takes all; where all come through one
    /// proxy, set it to connections-max [default: half of connections-max]
    #[arg(long, env = "ETEBAR_CONNECTIONS_PER_ADDRESS")]
    pub connections_per_address: Option<u64>,
    /// Trust this node's clock, for this start alone: where this node leads, ledger time starts at its clock and
    /// follows it, although no other node's clock confirms it. Set forward wrongly, it lets idempotency keys be forgotten
    #[arg(long, env = "ETEBAR_TRUST_CLOCK")]
    pub trust_clock: bool,
    /// What to log, as `info` or `warn,etebar_node=debug` [default: info,openraft=error,sled=off]
    #[arg(long, env = "ETEBAR_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// How to log: `text`, a line for people, or `json`, an object a line [default: text]
    #[arg(long, env = "ETEBAR_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl RunArgs {
    /// The settings, with the file's where flags and environment give none, and the defaults where nothing does.
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
            ops_listen: self.ops_listen.or(file.ops_listen),
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
            waiting_max: within("waiting-max", self.waiting_max.or(file.waiting_max).unwrap_or(65_536), 1, 1 << 20)?,
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
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
        };
        settings.check()?;
        Ok(settings)
    }
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

/// Durations in the TOML file, as text.
mod durations {
    use super::{Duration, read_duration};
    use serde::{Deserialize, Deserializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(input)?;
        read_duration(&text).map(Some).map_err(serde::de::Error::custom)
    }
}
