//! A node's certificate, and how it verifies those of others.
//!
//! Files that change are followed by [`CredentialWatch`]. Invariant: what does not fit this node is refused with an error in
//! the log, and what was in use stays.

use std::sync::Arc;

use ledger::NodeNumber;
use parking_lot::{Mutex, RwLock};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::watch;
use uuid::Uuid;

use super::verifier::{CertificateRefused, PeerVerifier, shown_time};
use crate::runtime::Clock;
use crate::tls::{self, CredentialWatch, Expiries, TlsPaths};

/// Why certificate, key or authority do not fit; one line with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsError(pub String);

/// The two sides of TLS with one set of files.
#[derive(Debug)]
pub struct PeerConfigs {
    /// For connections that are dialled.
    pub client: Arc<ClientConfig>,
    /// For connections that are accepted.
    pub server: Arc<ServerConfig>,
    verifier: Arc<PeerVerifier>,
    is_revoked: bool,
    expiries: Expiries,
}

impl PeerConfigs {
    /// Checks what was read: the certificate must be this node's, valid now and of an authority in the file, and no revocation
    /// list may have ended. [`Self::is_revoked`] says whether the own certificate is on one.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn new(read: &tls::Credentials, cluster: Uuid, node: NodeNumber) -> Result<Self, CredentialsError> {
        let provider = Arc::new(fast_first(&tls::provider()));
        let roots = read.authority.clone().ok_or_else(|| CredentialsError("--peer-ca is missing".to_owned()))?;
        let now = UnixTime::now();
        if let Some(end) = read.revoked.as_ref().and_then(|lists| lists.ended_before(now)) {
            return Err(CredentialsError(format!(
                "--peer-crl: a revocation list ended at {}: repeat `etebar-node pki revoke` for a node that is on it, and give \
                 the new crl.pem to every node",
                shown_time(end)
            )));
        }
        let verifier =
            Arc::new(PeerVerifier { roots, revoked: read.revoked.clone(), cluster, provider: provider.clone() });
        let own = verifier.verify(&read.identity.cert, now);
        let is_revoked = own == Err(CertificateRefused::Chain(webpki::Error::CertRevoked));
        // A node whose certificate is revoked still has to know which others are.
        let own = if is_revoked { verifier.verify_without_lists(&read.identity.cert, now) } else { own };
        let named = own.map_err(|error| {
            CredentialsError(format!(
                "--peer-cert does not fit: {error} (`etebar-node pki node` makes one, of the authority in --peer-ca)"
            ))
        })?;
        if named != node {
            return Err(CredentialsError(format!(
                "--peer-cert is the certificate of node {named}, not of node {node}"
            )));
        }
        let unfit = |error: rustls::Error| CredentialsError(format!("TLS between nodes cannot be set up: {error}"));
        let own = Arc::new(SingleCertAndKey::from(read.identity.clone()));
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(unfit)?
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(own.clone());
        // A resumed session would skip the check of its certificate, whose authority may have been removed meanwhile.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unfit)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(own);
        client.resumption = Resumption::disabled();
        let expiries = read.expiries();
        Ok(Self { client: Arc::new(client), server: Arc::new(server), verifier, is_revoked, expiries })
    }

    /// Whether this node's own certificate is on a revocation list: others refuse it.
    pub fn is_revoked(&self) -> bool {
        self.is_revoked
    }

    /// Until when these credentials are valid.
    pub fn expiries(&self) -> Expiries {
        self.expiries
    }

    /// The node that a chain names, where it holds now.
    ///
    /// # Errors
    /// Why it does not.
    pub fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<NodeNumber, CertificateRefused> {
        self.verifier.verify(chain, UnixTime::now())
    }
}

/// Of the cipher suites the fastest first, where processors have AES.
fn fast_first(provider: &CryptoProvider) -> CryptoProvider {
    let cipher_suites = vec![TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_256_GCM_SHA384];
    CryptoProvider { cipher_suites, ..provider.clone() }
}

/// The configurations in use, and the files that they follow.
#[derive(Debug)]
pub struct PeerCredentials {
    cluster: Uuid,
    node: NodeNumber,
    configs: RwLock<Arc<PeerConfigs>>,
    files: Mutex<Option<CredentialWatch>>,
}

/// What follows the files, and says when they changed.
pub type Followed = (CredentialWatch, watch::Receiver<Arc<tls::Credentials>>);

impl PeerCredentials {
    /// Reads the files of node `node` of `cluster`. Blocks.
    ///
    /// # Errors
    /// Where they cannot be read or do not fit.
    pub fn open(paths: TlsPaths, clock: Clock, cluster: Uuid, node: NodeNumber) -> Result<Self, CredentialsError> {
        let files = CredentialWatch::open(paths, clock).map_err(|error| CredentialsError(error.to_string()))?;
        let read = files.subscribe().borrow().clone();
        let new = Self::fixed(&read, cluster, node)?;
        Ok(Self { files: Mutex::new(Some(files)), ..new })
    }

    /// With what was read, which does not change.
    ///
    /// # Errors
    /// Where it does not fit.
    pub fn fixed(read: &tls::Credentials, cluster: Uuid, node: NodeNumber) -> Result<Self, CredentialsError> {
        let configs = PeerConfigs::new(read, cluster, node)?;
        if configs.is_revoked() {
            let refused = CertificateRefused::Chain(webpki::Error::CertRevoked);
            return Err(CredentialsError(format!("--peer-cert does not fit: {refused}")));
        }
        Ok(Self { cluster, node, configs: RwLock::new(Arc::new(configs)), files: Mutex::default() })
    }

    /// The configurations now.
    pub fn now(&self) -> Arc<PeerConfigs> {
        self.configs.read().clone()
    }

    /// What follows the files; once, and `None` where there are none.
    pub fn follow(&self) -> Option<Followed> {
        let files = self.files.lock().take()?;
        let changes = files.subscribe();
        Some((files, changes))
    }

    /// Takes what was read now into use, also where the own certificate is revoked: others refuse it, and this node has to
    /// refuse the others that are.
    ///
    /// # Errors
    /// Where it does not fit this node, or a revocation list in it is older than the one in use: what was in use stays.
    pub fn replace(&self, read: &tls::Credentials) -> Result<(), CredentialsError> {
        let before = self.now().verifier.revoked.clone();
        if read.revoked.as_ref().zip(before).is_some_and(|(read, before)| read.has_older_than(&before)) {
            return Err(CredentialsError(
                "--peer-crl: a revocation list is older than the one in use (its number is lower), and may lack certificates \
                 that were revoked: give this node the crl.pem that `etebar-node pki revoke` wrote last"
                    .to_owned(),
            ));
        }
        let configs = Arc::new(PeerConfigs::new(read, self.cluster, self.node)?);
        *self.configs.write() = configs;
        Ok(())
    }
}
