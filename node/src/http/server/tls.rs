//! The API over TLS: a handshake before the first byte of HTTP, within the time of a head and the slot of its connection.
//!
//! TLS 1.2 and 1.3, HTTP/1.1 alone, no early data (a recorded copy of it could be replayed). A certificate that
//! changed serves the next handshake; connections that are open stay. Nothing of this is in a simulation.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::runtime::net::TcpStream;
use crate::tls::{Credentials, provider};

/// The protocol that is agreed on in the handshake.
const HTTP_1_1: &[u8] = b"http/1.1";
/// First byte of a TLS record with a handshake in it. Source: RFC 8446, section 5.1.
const HANDSHAKE: u8 = 22;
/// How often failed handshakes are reported, with their number since the last time.
const REPORT_AGAIN: Duration = Duration::from_mins(1);

/// What the API needs for TLS; cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiTls(Arc<TlsState>);

#[derive(Debug)]
struct TlsState {
    credentials: watch::Receiver<Arc<Credentials>>,
    /// Made from the credentials of this version.
    config: Mutex<(u64, Arc<ServerConfig>)>,
    failures: Failures,
}

/// A connection whose first bytes are known.
pub(crate) enum Opened {
    /// Its handshake is done.
    Tls(Box<TlsStream<TcpStream>>),
    /// Something else than TLS, most likely HTTP; nothing of it was read.
    Plain(TcpStream),
}

impl ApiTls {
    /// TLS with the certificate that `credentials` holds at each handshake.
    ///
    /// # Errors
    /// Where rustls does not take TLS 1.2 and 1.3 together with its provider, which does not happen.
    pub fn new(credentials: watch::Receiver<Arc<Credentials>>) -> Result<ApiTls, rustls::Error> {
        let config = {
            let now = credentials.borrow();
            (now.version, configured(&now)?)
        };
        Ok(ApiTls(Arc::new(TlsState { credentials, config: Mutex::new(config), failures: Failures::default() })))
    }

    /// The certificate in use, and each change of it.
    pub(crate) fn credentials(&self) -> watch::Receiver<Arc<Credentials>> {
        self.0.credentials.clone()
    }

    /// Does the handshake within `limit`. `None` where it failed, or took too long.
    pub(crate) async fn open(&self, stream: TcpStream, limit: Duration) -> Option<Opened> {
        let from = stream.peer_addr().ok();
        match tokio::time::timeout(limit, self.handshake(stream)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                self.0.failures.report(from, &error.to_string());
                None
            }
            Err(_elapsed) => {
                self.0.failures.report(from, "timed out");
                None
            }
        }
    }

    /// `None` where the caller left before it sent anything, as those do that only look whether the port is open.
    async fn handshake(&self, mut stream: TcpStream) -> io::Result<Option<Opened>> {
        let mut first = [0_u8];
        if peek(&mut stream, &mut first).await? == 0 {
            return Ok(None);
        }
        if first[0] != HANDSHAKE {
            return Ok(Some(Opened::Plain(stream)));
        }
        let stream = TlsAcceptor::from(self.config()?).accept(stream).await?;
        Ok(Some(Opened::Tls(Box::new(stream))))
    }

    /// Made anew for each version of the credentials, so that no session of an earlier certificate is resumed with it.
    fn config(&self) -> io::Result<Arc<ServerConfig>> {
        let credentials = Arc::clone(&self.0.credentials.borrow());
        let mut config = self.0.config.lock();
        if config.0 != credentials.version {
            *config = (credentials.version, configured(&credentials).map_err(io::Error::other)?);
        }
        Ok(Arc::clone(&config.1))
    }
}

fn configured(credentials: &Credentials) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.identity))));
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

/// The simulation's stream is peeked at by `&mut`.
async fn peek(stream: &mut TcpStream, first: &mut [u8]) -> io::Result<usize> {
    stream.peek(first).await
}

/// Failed handshakes: unauthenticated callers can cause any number of them, so they are counted, and reported at a
/// bounded rate.
#[derive(Debug, Default)]
struct Failures(Mutex<(u64, Option<Instant>)>);

impl Failures {
    fn report(&self, from: Option<SocketAddr>, why: &str) {
        let from = from.map_or_else(|| "?".to_owned(), |from| from.to_string());
        debug!(%from, why, "TLS handshake failed");
        let mut state = self.0.lock();
        let (count, last) = &mut *state;
        *count += 1;
        let now = Instant::now();
        if last.is_none_or(|last| now.duration_since(last) >= REPORT_AGAIN) {
            warn!(%from, why, handshakes = *count, "TLS handshakes failed; the address and the reason are of the last one");
            (*count, *last) = (0, Some(now));
        }
    }
}
