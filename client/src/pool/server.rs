//! One server and its idle connections: HTTP/1.1, kept alive, used by one request at a time.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::endpoint::{BadServer, Endpoint};
#[cfg(not(feature = "simulation"))]
use super::tls::Trust;
use crate::call::answer::Failure;

/// Most idle connections kept per server; further ones are closed.
const IDLE_MAX: usize = 1_024;

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// One server of the cluster, with its idle connections.
#[derive(Debug)]
pub(crate) struct Server {
    endpoint: Endpoint,
    host: HeaderValue,
    idle: Mutex<Vec<Sender>>,
}

impl Server {
    /// A server without a connection yet. Fails where its address cannot stand in a header.
    pub(crate) fn at(endpoint: Endpoint) -> Result<Server, BadServer> {
        let authority = endpoint.authority();
        let host = HeaderValue::from_str(authority).map_err(|_| BadServer::Malformed(authority.to_owned()))?;
        Ok(Server { endpoint, host, idle: Mutex::new(Vec::new()) })
    }

    /// The same server under another trust, without a connection yet.
    #[cfg(not(feature = "simulation"))]
    pub(crate) fn trusting(&self, trust: &Trust) -> Server {
        Server { endpoint: self.endpoint.trusting(trust), host: self.host.clone(), idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn authority(&self) -> &str {
        self.endpoint.authority()
    }

    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// An idle connection that is still open, the last used first.
    pub(crate) fn idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock();
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read whole.
    pub(crate) fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    /// A new connection. A task of its own drives it and ends with it.
    pub(crate) async fn connect(&self) -> Result<Sender, Failure> {
        let stream = self.endpoint.dial().await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            handshake.map_err(|error| Failure::Unreachable(format!("{}: {error}", self.authority())))?;
        // Its error, if any, also reaches the request that is under way, which reports it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
