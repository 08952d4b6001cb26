//! Where a server is, and the way there: TCP, and TLS over it for `https`.
//!
//! A port is always given. `https` never falls back to plain HTTP: without a handshake there is no stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(not(feature = "simulation"))]
use tokio::net::TcpStream;
#[cfg(feature = "simulation")]
use turmoil::net::TcpStream;

use crate::api::read_address;

#[cfg(not(feature = "simulation"))]
use super::tls::{self, Identity, Trust};
use crate::call::answer::Failure;

/// Longest wait for a connection. A server that runs accepts within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServer {
    /// The list is empty.
    #[error("no server is given")]
    None,
    /// It is no `http` or `https` URL of a host and a port.
    #[error("{0:?} is not a server's address such as http://127.0.0.1:7101")]
    Malformed(String),
    /// This build, for the simulation, has no TLS.
    #[error("{0:?} needs https, which this build does not support")]
    Https(String),
}

/// A server's address.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `host:port`, as it is dialled and as it stands in the `Host` header.
    authority: String,
    /// What to ask of the other side's certificate; `None` for `http`.
    #[cfg(not(feature = "simulation"))]
    tls: Option<(Identity, Trust)>,
}

impl Endpoint {
    /// Reads `https://host:port`, `http://host:port` or `host:port`, which is the same as the second.
    #[cfg(not(feature = "simulation"))]
    pub(crate) fn parse(url: &str, trust: &Trust) -> Result<Endpoint, BadServer> {
        let (is_tls, authority, host) = split(url)?;
        let tls = if is_tls {
            let identity = tls::identity(host).ok_or_else(|| BadServer::Malformed(url.trim().to_owned()))?;
            Some((identity, trust.clone()))
        } else {
            None
        };
        Ok(Endpoint { authority: authority.to_owned(), tls })
    }

    /// Reads `http://host:port` or `host:port`.
    #[cfg(feature = "simulation")]
    pub(crate) fn parse(url: &str) -> Result<Endpoint, BadServer> {
        match split(url)? {
            (false, authority, _) => Ok(Endpoint { authority: authority.to_owned() }),
            (true, _, _) => Err(BadServer::Https(url.trim().to_owned())),
        }
    }

    /// `host:port`, as it stands in the `Host` header.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether the bytes on the way are protected by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        #[cfg(not(feature = "simulation"))]
        return self.tls.is_some();
        #[cfg(feature = "simulation")]
        return false;
    }

    /// The same address under another trust.
    #[cfg(not(feature = "simulation"))]
    pub(crate) fn trusting(&self, trust: &Trust) -> Endpoint {
        let tls = self.tls.as_ref().map(|(identity, _)| (identity.clone(), trust.clone()));
        Endpoint { authority: self.authority.clone(), tls }
    }

    /// A new connection, ready for a request. Where this fails, nothing of a request was sent.
    pub async fn dial(&self) -> Result<Stream, Failure> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.open()).await {
            Ok(opened) => opened,
            Err(_) => Err(self.unreachable("no connection in time")),
        }
    }

    async fn open(&self) -> Result<Stream, Failure> {
        let tcp = TcpStream::connect(&self.authority).await.map_err(|error| self.unreachable(&error.to_string()))?;
        tcp.set_nodelay(true).map_err(|error| self.unreachable(&error.to_string()))?;
        #[cfg(not(feature = "simulation"))]
        if let Some((identity, trust)) = &self.tls {
            let stream = trust.handshake(identity, tcp).await.map_err(|error| error.of_server(&self.authority))?;
            return Ok(Stream::Tls(Box::new(stream)));
        }
        Ok(Stream::Plain(tcp))
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Unreachable(format!("{}: {why}", self.authority))
    }
}

/// Whether it is `https`, then `host:port`, then the host alone.
fn split(url: &str) -> Result<(bool, &str, &str), BadServer> {
    let trimmed = url.trim();
    let (is_tls, rest) = match (trimmed.strip_prefix("https://"), trimmed.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => (false, trimmed),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, _) = read_address(authority).map_err(|_| BadServer::Malformed(trimmed.to_owned()))?;
    Ok((is_tls, authority, host))
}

/// A connection to a server.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Through TLS.
    #[cfg(not(feature = "simulation"))]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// Does the same with either kind of stream.
macro_rules! with_either {
    ($stream:expr, $inner:ident => $work:expr) => {
        match $stream {
            Stream::Plain($inner) => $work,
            #[cfg(not(feature = "simulation"))]
            Stream::Tls($inner) => $work,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with_either!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with_either!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with_either!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        with_either!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_either!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_either!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}
