//! What all handlers share: the cluster, the bounds, and what never changes once the ledger has begun.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::HeaderValue;
use tokio::time::Instant;

use super::limits::Limits;
use super::quotas::Quotas;
use super::response::problem::Problem;
use super::response::render::LedgerInfo;
use super::server::tls::ApiTls;
use crate::raft::Cluster;
use crate::runtime::Entropy;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// See [`App`].
pub struct Shared {
    /// This member.
    pub cluster: Cluster,
    /// The bounds of the HTTP side.
    pub limits: Limits,
    /// Entropy for secrets.
    pub entropy: Entropy,
    /// This member's number as `Etebar-Node` shows it.
    pub node: HeaderValue,
    /// What one caller may take.
    pub quotas: Quotas,
    /// Where the node keeps its data.
    pub data_dir: PathBuf,
    tls: OnceLock<ApiTls>,
    info: OnceLock<LedgerInfo>,
    boot: u64,
    requests: AtomicU64,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
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
        Ok(Self(Arc::new(Shared {
            cluster,
            limits,
            entropy,
            node,
            quotas: Quotas::new(&limits),
            data_dir,
            tls: OnceLock::new(),
            info: OnceLock::new(),
            boot,
            requests: AtomicU64::new(0),
        })))
    }

    /// The same, served over TLS. Said before it is served; the first word counts.
    #[must_use]
    pub fn over_tls(self, tls: ApiTls) -> Self {
        self.tls.get_or_init(|| tls);
        self
    }
}

impl Shared {
    /// When a request that begins now must be answered.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.limits.request
    }

    /// How connections are opened where the API is served over TLS.
    pub fn tls(&self) -> Option<&ApiTls> {
        self.tls.get()
    }

    /// How this node's API is reached; the other members' is taken to be reached in the same way.
    pub fn scheme(&self) -> &'static str {
        if self.tls().is_some() { "https" } else { "http" }
    }

    /// What the ledger was founded on. Fails before its genesis was applied here.
    pub fn ledger_info(&self) -> Result<LedgerInfo, Problem> {
        if let Some(info) = self.info.get() {
            return Ok(*info);
        }
        let replica = self.cluster.replica();
        let Some(genesis) = replica.state.genesis() else {
            return Err(Problem::new(etebar_api::Code::NoLeader, "the ledger has not begun"));
        };
        Ok(*self.info.get_or_init(|| LedgerInfo { ids: replica.state.ids(), places: u32::from(genesis.decimals) }))
    }

    /// A name for a request whose caller gave none: unique in this node's life.
    pub fn request_id(&self) -> HeaderValue {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:016x}-{number:x}", self.boot);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-"))
    }
}
