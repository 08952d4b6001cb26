//! What all handlers share: the cluster, the limits, and what never changes once the ledger is bootstrapped.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use etebar_api::{APPLIED, LEADER, NODE, REQUEST_ID};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::limits::Limits;
use super::quotas::Quotas;
use super::response::problem::Problem;
use super::response::render::LedgerInfo;
use super::server::tls::ApiTls;
use crate::metrics::instruments::HttpInstruments;
use crate::raft::Cluster;
use crate::runtime::Entropy;
use crate::runtime::log_throttle::LogThrottle;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<AppState>);

/// See [`App`].
pub struct AppState {
    /// This node of the cluster.
    pub cluster: Cluster,
    /// The limits of the HTTP side.
    pub limits: Limits,
    /// Entropy for secrets.
    pub entropy: Entropy,
    /// This node's number as `Etebar-Node` shows it.
    pub node: HeaderValue,
    /// What one caller may take.
    pub quotas: Quotas,
    /// Where the node keeps its data.
    pub data_dir: PathBuf,
    /// Slots for connections of all clients.
    pub connections: Arc<Semaphore>,
    /// Counts requests.
    pub instruments: Arc<HttpInstruments>,
    /// What was logged of requests that failed.
    pub faults: LogThrottle,
    tls: OnceLock<ApiTls>,
    info: OnceLock<LedgerInfo>,
    boot: u64,
    requests: AtomicU64,
}

impl std::ops::Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl App {
    /// Fails where there is no entropy to draw a request id from.
    pub fn new(
        cluster: Cluster,
        limits: Limits,
        entropy: Entropy,
        data_dir: PathBuf,
    ) -> Result<Self, crate::runtime::NoEntropy> {
        let node = HeaderValue::from(cluster.status().node);
        let boot = u64::from_be_bytes(entropy.bytes()?);
        Ok(Self(Arc::new(AppState {
            cluster,
            limits,
            entropy,
            node,
            quotas: Quotas::new(&limits),
            data_dir,
            connections: Arc::new(Semaphore::new(limits.connections)),
            instruments: Arc::default(),
            faults: LogThrottle::default(),
            tls: OnceLock::new(),
            info: OnceLock::new(),
            boot,
            requests: AtomicU64::new(0),
        })))
    }

    /// The same, served over TLS. Called before it is served; later calls change nothing.
    #[must_use]
    pub fn over_tls(self, tls: ApiTls) -> Self {
        self.tls.get_or_init(|| tls);
        self
    }
}

impl AppState {
    /// The deadline of a request that arrives now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.limits.request
    }

    /// The TLS of the API, where it is served over TLS.
    pub fn tls(&self) -> Option<&ApiTls> {
        self.tls.get()
    }

    /// The URL scheme of this node's API; the other nodes' is taken to be the same.
    pub fn scheme(&self) -> &'static str {
        if self.tls().is_some() { "https" } else { "http" }
    }

    /// What the genesis and the epoch fixed. Fails before the genesis was applied here.
    pub fn ledger_info(&self) -> Result<LedgerInfo, Problem> {
        if let Some(info) = self.info.get() {
            return Ok(info.clone());
        }
        let replica = self.cluster.replica();
        let Some(genesis) = replica.state.genesis() else {
            return Err(Problem::new(etebar_api::Code::NoLeader, "the ledger is not bootstrapped yet"));
        };
        let info = LedgerInfo { ids: replica.state.ids().clone(), decimals: u32::from(genesis.decimals) };
        // An epoch begins with a start; until then, and while a node that joins catches up, the ids are an older one's.
        if replica.state.epoch() == self.cluster.epoch() {
            return Ok(self.info.get_or_init(|| info).clone());
        }
        Ok(info)
    }

    /// An id for a request whose caller gave none, unique among all of this node's runs.
    pub fn request_id(&self) -> HeaderValue {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:016x}-{number:x}", self.boot);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-"))
    }

    /// Adds `X-Request-Id`, `Etebar-Node`, `Etebar-Leader` and `Etebar-Applied`, which every answer has; a position that
    /// is set already stays. Clients take an answer without `Etebar-Node` for one of an intermediary, which leaves the
    /// outcome unknown.
    pub fn sign(&self, headers: &mut HeaderMap, request_id: HeaderValue) {
        headers.insert(REQUEST_ID, request_id);
        headers.insert(NODE, self.node.clone());
        if let Some(leader) = self.cluster.leader() {
            headers.insert(LEADER, HeaderValue::from(leader));
        }
        if !headers.contains_key(APPLIED) {
            headers.insert(APPLIED, HeaderValue::from(self.cluster.applied()));
        }
    }

    /// The same as field lines, for an answer that is given before a handler sees the request.
    pub fn signature_lines(&self) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        self.sign(&mut headers, self.request_id());
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat()
        };
        headers.iter().flat_map(line).collect()
    }
}
