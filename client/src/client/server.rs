//! One server and its idle connections: HTTP/1.1 over TCP, kept alive, used by one request at a time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
#[cfg(not(feature = "simulation"))]
use tokio::net::TcpStream;
#[cfg(feature = "simulation")]
use turmoil::net::TcpStream;

use super::attempt::Failure;

/// Most idle connections kept per server; what is more is closed.
const IDLE_MAX: usize = 1_024;
/// Longest wait for a connection. A living server of a cluster answers within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) type Sender = SendRequest<Full<Bytes>>;

/// The text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServer {
    #[error("no server is given")]
    None,
    #[error("{0:?} is not a server's address such as http://127.0.0.1:7101")]
    Malformed(String),
    #[error("{0:?} asks for https, which this client does not speak")]
    Https(String),
}

/// One server of the cluster.
#[derive(Debug)]
pub(super) struct Server {
    /// `host:port`, as it is dialled and as it stands in the `Host` header.
    authority: String,
    host: HeaderValue,
    idle: Mutex<Vec<Sender>>,
}

impl Server {
    /// Reads `http://host:port` or `host:port`.
    pub(super) fn parse(url: &str) -> Result<Server, BadServer> {
        let trimmed = url.trim();
        if trimmed.starts_with("https://") {
            return Err(BadServer::Https(trimmed.to_owned()));
        }
        let malformed = || BadServer::Malformed(trimmed.to_owned());
        let rest = trimmed.strip_prefix("http://").unwrap_or(trimmed);
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = authority.rsplit_once(':').ok_or_else(malformed)?;
        let plain = !host.is_empty() && !authority.contains(['/', '@', '?', '#', ' ']);
        if !plain || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(malformed());
        }
        let host = HeaderValue::from_str(authority).map_err(|_| malformed())?;
        Ok(Server { authority: authority.to_owned(), host, idle: Mutex::new(Vec::new()) })
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// An idle connection that is still open, the last used first.
    pub(super) fn idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read whole.
    pub(super) fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    /// A new connection. A task of its own drives it and ends with it.
    pub(super) async fn connect(&self) -> Result<Sender, Failure> {
        let unreachable = |why: String| Failure::Unreachable(format!("{}: {why}", self.authority));
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable("no connection in time".to_owned())),
        };
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| unreachable(error.to_string()))?;
        // Its error, if any, also reaches the request that is under way, which reports it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
