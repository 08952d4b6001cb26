//! A client of one cluster: its servers, its API key, its time-out, and what it has learned.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::header::HeaderValue;

use crate::call::idempotency::BadKey;
use crate::outcome::key_window::KeyWindow;
use crate::pool::endpoint::{BadServer, Endpoint};
use crate::pool::server::Server;
#[cfg(not(feature = "simulation"))]
use crate::pool::tls::{BadAuthority, Trust};

/// Longest time for one call with all its attempts, unless set otherwise.
/// Source: three times a node's own limit for a request.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one cluster under one API key. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) servers: Arc<[Server]>,
    /// The authorities that are trusted where a server is `https`.
    #[cfg(not(feature = "simulation"))]
    pub(crate) trust: Trust,
    /// Index of the server that answered last, where the next call begins.
    pub(crate) current: Arc<AtomicUsize>,
    /// `Bearer KEY`, marked as sensitive; `None` asks without a key.
    pub(crate) authorization: Option<HeaderValue>,
    /// The caller's trace.
    pub(crate) traceparent: Option<HeaderValue>,
    pub(crate) timeout: Duration,
    /// Once a node has reported it; shared like the connections.
    pub(crate) key_window: Arc<KeyWindow>,
}

impl Client {
    /// A client of these servers (`http://host:port` or `https://host:port`), tried in this order. `https` trusts the
    /// machine's authorities, unless [`Client::with_authority`] names another. Fails where there is none or one is no such URL.
    pub fn new<S: AsRef<str>>(servers: impl IntoIterator<Item = S>) -> Result<Client, BadServer> {
        let none = Client {
            servers: Arc::new([]),
            #[cfg(not(feature = "simulation"))]
            trust: Trust::default(),
            current: Arc::new(AtomicUsize::new(0)),
            authorization: None,
            traceparent: None,
            timeout: DEFAULT_TIMEOUT,
            key_window: Arc::default(),
        };
        none.at(servers)
    }

    /// A client of other servers with the same key, trust and time-out.
    pub fn at<S: AsRef<str>>(&self, servers: impl IntoIterator<Item = S>) -> Result<Client, BadServer> {
        self.of(servers.into_iter().map(|url| self.endpoint(url.as_ref())))
    }

    /// A client of one node at the address that the cluster reports. A client that uses `https` never uses less for it,
    /// whatever the address says, since the API key would be readable on the way.
    pub fn at_node(&self, api: &str) -> Result<Client, BadServer> {
        self.of([self.node_endpoint(api)])
    }

    /// The same client, which trusts the authorities in this PEM file and no others.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no authority.
    #[cfg(not(feature = "simulation"))]
    pub fn with_authority(&self, file: &std::path::Path) -> Result<Client, BadAuthority> {
        let trust = Trust::only(file)?;
        let servers = self.servers.iter().map(|server| server.trusting(&trust)).collect();
        Ok(Client { servers, trust, ..self.clone() })
    }

    fn of(&self, endpoints: impl IntoIterator<Item = Result<Endpoint, BadServer>>) -> Result<Client, BadServer> {
        let servers = endpoints.into_iter().map(|at| Server::at(at?)).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(BadServer::None);
        }
        // Other servers may be of another cluster, whose key window is another.
        let key_window = Arc::default();
        Ok(Client { servers: servers.into(), current: Arc::new(AtomicUsize::new(0)), key_window, ..self.clone() })
    }

    #[cfg(not(feature = "simulation"))]
    fn endpoint(&self, url: &str) -> Result<Endpoint, BadServer> {
        Endpoint::parse(url, &self.trust)
    }

    #[cfg(feature = "simulation")]
    fn endpoint(&self, url: &str) -> Result<Endpoint, BadServer> {
        Endpoint::parse(url)
    }

    /// How to dial a node at the address that the cluster reports; see [`Client::at_node`].
    pub fn node_endpoint(&self, api: &str) -> Result<Endpoint, BadServer> {
        let protected = self.servers.iter().any(|server| server.endpoint().is_tls());
        let api = api.trim();
        if !protected || api.starts_with("https://") {
            return self.endpoint(api);
        }
        self.endpoint(&format!("https://{}", api.strip_prefix("http://").unwrap_or(api)))
    }

    /// The same client under this API key. Fails where the text cannot stand in a header.
    pub fn with_key(&self, key: &str) -> Result<Client, BadKey> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| BadKey)?;
        authorization.set_sensitive(true);
        Ok(Client { authorization: Some(authorization), ..self.clone() })
    }

    /// The same client, whose requests belong to this trace of the caller's (`traceparent`, W3C Trace Context): the lines that
    /// nodes log about them name it.
    #[must_use]
    pub fn with_traceparent(&self, traceparent: HeaderValue) -> Client {
        Client { traceparent: Some(traceparent), ..self.clone() }
    }

    /// The same client with another time-out for a whole call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { timeout, ..self.clone() }
    }

    /// The same client, whose next call begins at server `index` (modulo their number), independently of its clones.
    #[must_use]
    pub fn starting_at(&self, index: usize) -> Client {
        Client { current: Arc::new(AtomicUsize::new(index % self.servers.len())), ..self.clone() }
    }

    /// How long the cluster remembers idempotency keys: a write is safe to repeat under its key for so long after its first
    /// attempt, and this client repeats it for half of that. `None` while no node has reported it.
    pub fn key_window(&self) -> Option<Duration> {
        self.key_window.get()
    }

    /// Longest time for a whole call.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many servers it knows.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The server that answered last, as `host:port`.
    pub fn current_server(&self) -> &str {
        self.servers[self.current.load(Ordering::Relaxed) % self.servers.len()].authority()
    }
}
