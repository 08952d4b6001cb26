//! The client library: one call, as many attempts as its time allows, one clear outcome.
//!
//! Every write carries an idempotency key (or is harmless to repeat), made once, outside the retry loop. So an attempt
//! whose outcome is unknown is repeated, on any server, without moving money twice. What a caller gets is an answer, or
//! an [`Error`] that says which of the three it is: refused, certainly not done, or unknown.

mod attempt;
mod backoff;
mod call;
mod charges;
mod endpoints;
mod error;
mod idempotency;
mod meaning;
mod pager;
mod query;
mod reads;
mod server;

pub use attempt::{Failure, RawAnswer};
pub use call::{Answer, Call, Effect};
pub use error::{Error, NotDone, Unknown};
pub use idempotency::{BadKey, IdempotencyKey};
pub use pager::Pager;
pub use query::Query;
pub use reads::{ChargeFilter, CreditRequestFilter, Span};
pub use server::BadServer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::header::HeaderValue;

use server::Server;

/// Longest time for one call with all its attempts, unless set otherwise.
/// Source: three times a node's own limit for a request.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A caller of one cluster under one key. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    servers: Arc<[Server]>,
    /// Index of the server that answered last, where the next call begins.
    current: Arc<AtomicUsize>,
    /// `Bearer KEY`, marked as sensitive; `None` asks without a key.
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl Client {
    /// A caller of these servers (`http://host:port`), tried in this order. Fails where there is none or one is no such URL.
    pub fn new<S: AsRef<str>>(servers: impl IntoIterator<Item = S>) -> Result<Client, BadServer> {
        let servers = servers.into_iter().map(|url| Server::parse(url.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(BadServer::None);
        }
        Ok(Client {
            servers: servers.into(),
            current: Arc::new(AtomicUsize::new(0)),
            authorization: None,
            timeout: DEFAULT_TIMEOUT,
        })
    }

    /// A caller of other servers under the same key and limit.
    pub fn at<S: AsRef<str>>(&self, servers: impl IntoIterator<Item = S>) -> Result<Client, BadServer> {
        let others = Client::new(servers)?;
        Ok(Client { authorization: self.authorization.clone(), timeout: self.timeout, ..others })
    }

    /// The same caller under this key. Fails where the text cannot stand in a header.
    pub fn with_key(&self, key: &str) -> Result<Client, BadKey> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| BadKey)?;
        authorization.set_sensitive(true);
        Ok(Client { authorization: Some(authorization), ..self.clone() })
    }

    /// The same caller with another limit for a whole call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { timeout, ..self.clone() }
    }

    /// The same caller, with a preference of its own that begins at server `index` (modulo their number).
    #[must_use]
    pub fn starting_at(&self, index: usize) -> Client {
        Client { current: Arc::new(AtomicUsize::new(index % self.servers.len())), ..self.clone() }
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
