//! TLS: the authorities that this client trusts, and the handshake. TLS 1.2 and 1.3 over HTTP/1.1, with rustls and ring.
//!
//! The machine's own authorities are read once a process, when the first `https` server is dialled; an authority of one's
//! own (`--ca`) takes their place and is not added to them, as with curl's `--cacert`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::call::answer::Failure;

/// The protocol that is agreed on in the handshake.
const HTTP_1_1: &[u8] = b"http/1.1";

/// How much of a file of authorities is read, in bytes. Source: three times all that browsers trust.
const AUTHORITY_BYTES: u64 = 1 << 20;

/// The expected subject of the certificate: a host's name or its IP address.
pub(crate) type Identity = ServerName<'static>;

/// Reads the host of an address, an IPv6 one in brackets.
pub(crate) fn identity(host: &str) -> Option<Identity> {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

/// Why a file gives no authority to trust.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthority {
    /// It cannot be read.
    #[error("cannot read {path:?}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// It has no PEM section of a certificate.
    #[error(
        "there is no certificate in {0:?}: an authority's is a PEM file that begins with -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate(PathBuf),
    /// One of its certificates cannot be used.
    #[error("{path:?} holds no certificate that can be read: {why}")]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The authorities that are trusted. Cheap to clone; clones share their TLS sessions.
#[derive(Debug, Clone, Default)]
pub(crate) enum Trust {
    /// Those of the machine's authorities.
    #[default]
    Machine,
    /// Those of the authorities in one file, and no others.
    Only(Arc<ClientConfig>),
}

impl Trust {
    /// The authorities in a PEM file.
    pub(crate) fn only(path: &Path) -> Result<Trust, BadAuthority> {
        let unreadable = |error| BadAuthority::Unreadable { path: path.to_owned(), error };
        let bad = |why: String| BadAuthority::BadCertificate { path: path.to_owned(), why };
        let mut text = Vec::new();
        File::open(path).and_then(|file| file.take(AUTHORITY_BYTES).read_to_end(&mut text)).map_err(unreadable)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| bad(malformed(&error).to_owned()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(BadAuthority::NoCertificate(path.to_owned()));
        }
        Ok(Trust::Only(configured(roots).map_err(|error| bad(error.to_string()))?))
    }

    /// A TLS connection over `tcp` to a server that proves to be `identity`.
    pub(crate) async fn handshake(
        &self,
        identity: &Identity,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, HandshakeFailure> {
        let config = match self {
            Trust::Machine => machine().await?,
            Trust::Only(config) => Arc::clone(config),
        };
        let connected = TlsConnector::from(config).connect(identity.clone(), tcp).await;
        connected.map_err(|error| HandshakeFailure::of(&error))
    }
}

/// The machine's authorities. Reading them blocks on the disk, once.
async fn machine() -> Result<Arc<ClientConfig>, HandshakeFailure> {
    static MACHINE: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let read = || MACHINE.get_or_init(read_machine).clone();
    let config = match MACHINE.get() {
        Some(config) => config.clone(),
        None => tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string())),
    };
    config.map_err(HandshakeFailure::Untrusted)
}

fn read_machine() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One that cannot be read by this library must not make all others useless.
    let (usable, _unusable) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(format!("this machine has no authorities to trust{why}"));
    }
    configured(roots).map_err(|error| error.to_string())
}

fn configured(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    // Named, and not the process's default: a program that uses this library may have set another.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

/// Why there is no TLS connection. Nothing of a request was sent.
#[derive(Debug)]
pub(crate) enum HandshakeFailure {
    /// The other side did not prove who it is; asking again changes nothing.
    Untrusted(String),
    /// The connection broke, or the other side does not speak TLS.
    Broken(String),
}

impl HandshakeFailure {
    /// The failure of an attempt at `authority`.
    pub(crate) fn of_server(self, authority: &str) -> Failure {
        match self {
            HandshakeFailure::Untrusted(why) => Failure::Untrusted(format!("{authority}: {why}")),
            HandshakeFailure::Broken(why) => Failure::Unreachable(format!("{authority}: {why}")),
        }
    }

    fn of(error: &io::Error) -> HandshakeFailure {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let broken = |why: String| HandshakeFailure::Broken(why);
        match inner {
            Some(rustls::Error::InvalidCertificate(why)) => HandshakeFailure::Untrusted(untrusted(why)),
            Some(rustls::Error::InvalidMessage(_)) => broken("it does not speak TLS: is it http:// there?".to_owned()),
            Some(rustls::Error::AlertReceived(alert)) => broken(format!("it refused the TLS handshake: {alert:?}")),
            Some(other) => broken(format!("no TLS handshake: {other}")),
            None => broken(format!("it ended the TLS handshake: {error}")),
        }
    }
}

fn untrusted(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its certificate comes from no authority that is trusted here".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name or address than this".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet, or this machine's clock is wrong".to_owned()
        }
        other => format!("its certificate cannot be trusted: {other}"),
    }
}

fn malformed(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it ends within a certificate",
        _ => "it is malformed",
    }
}
