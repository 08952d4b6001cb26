//! The settings of a running node, complete and checked.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::runtime::log::LogFormat;
use crate::storage::LOG_BYTES_MIN;
use crate::tls::TlsPaths;

/// Least bytes of the disk to keep. Source: eight segments of the databases, so that what was accepted can be written.
const DISK_RESERVE_MIN: u64 = 16 << 20;

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
    /// Where to listen for operators, if not beside the API.
    pub ops_listen: Option<SocketAddr>,
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
    /// How to log.
    pub log_format: LogFormat,
}

/// How far the operator's port is above the API's where it is not set. Source: API and peers of a local cluster's up to 19 nodes
/// lie below it (`cluster-scripts/up.sh`).
const OPS_PORT_ABOVE: u16 = 40;

impl Settings {
    /// Where to listen for operators, given where the API is served: `host:port`.
    ///
    /// # Errors
    /// Where that port leaves none to choose.
    pub fn ops_address(&self, api: &str) -> Result<SocketAddr, String> {
        if let Some(address) = self.ops_listen {
            return Ok(address);
        }
        let port = api.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let port = port.and_then(|port| port.checked_add(OPS_PORT_ABOVE));
        let port = port.ok_or_else(|| {
            format!("--ops-listen is missing: there is no port {OPS_PORT_ABOVE} above that of the API, {api}")
        })?;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    pub(super) fn check(&self) -> Result<(), String> {
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
            if value < Duration::from_millis(1) || value > Duration::from_mins(10) {
                return Err(format!("--{name} must be between 1ms and 10m"));
            }
        }
        if self.election_min < self.heartbeat * 2 || self.election_max <= self.election_min {
            return Err("the election time-outs must fit: 2 * heartbeat <= election-min < election-max".to_owned());
        }
        Ok(())
    }
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
    pub(super) fn of(certificate: Option<PathBuf>, key: Option<PathBuf>, plaintext: bool) -> Result<Self, String> {
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
