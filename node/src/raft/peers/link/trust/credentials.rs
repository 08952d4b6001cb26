//! A node's certificate, and how it verifies those of others.
//!
//! Invariant: a certificate counts only where it chains to an authority of the file, is valid now, good for both ends of a
//! connection, and names one node of this cluster. Files that change are followed by [`CredentialWatch`]; what does not fit
//! this node is refused with an error in the log, and what was in use stays.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use ledger::NodeNumber;
use parking_lot::{Mutex, RwLock};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError, PeerMisbehaved,
    RootCertStore, ServerConfig, SignatureScheme,
};
use tokio::sync::watch;
use uuid::Uuid;
use webpki::{
    EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::pki::name::read_node_uri;
use crate::runtime::Clock;
use crate::tls::{self, CredentialWatch, RevocationLists, TlsPaths};

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
        Ok(Self { client: Arc::new(client), server: Arc::new(server), verifier, is_revoked })
    }

    /// Whether this node's own certificate is on a revocation list: others refuse it.
    pub fn is_revoked(&self) -> bool {
        self.is_revoked
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

/// Most certificates between a node's and an authority's. Source: `pki` makes none, an authority of one's own has one or two;
/// an unauthenticated caller that sends hundreds would have a signature checked for each.
const INTERMEDIATES_MAX: usize = 3;

/// Why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefused {
    /// There is none.
    #[error("there is no certificate")]
    Absent,
    /// More certificates stand between it and an authority than are looked at.
    #[error("the certificate comes with more than {INTERMEDIATES_MAX} others")]
    Long,
    /// It is not valid now, or not signed by an authority in the file, or not for this use.
    #[error("{}", chain_reason(.0))]
    Chain(webpki::Error),
    /// It names no node of this cluster, or several.
    #[error("the certificate names no node of this cluster")]
    Name,
}

impl CertificateRefused {
    /// Its kind, for throttling the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "no certificate",
            Self::Long => "long chain",
            Self::Name => "name",
            Self::Chain(webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey) => "authority",
            Self::Chain(webpki::Error::CertExpired { .. }) => "expired",
            Self::Chain(webpki::Error::CertNotValidYet { .. }) => "not valid yet",
            Self::Chain(webpki::Error::CertRevoked) => "revoked",
            Self::Chain(_) => "certificate",
        }
    }
}

fn shown_time(time: UnixTime) -> impl std::fmt::Display {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

fn chain_reason(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            "the certificate is of another authority".to_owned()
        }
        webpki::Error::CertExpired { not_after, .. } => {
            format!("the certificate expired at {}: renew it", shown_time(*not_after))
        }
        webpki::Error::CertRevoked => {
            "the certificate is revoked (`etebar-node pki node --renew` makes a new one for a node that stays)"
                .to_owned()
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            format!("the certificate is valid from {} on: look at the clock", shown_time(*not_before))
        }
        other => format!("the certificate is not valid: {other:?}"),
    }
}

/// Verifies nodes' certificates, on both ends alike: the address that was dialled does not count, the name in the
/// certificate decides.
#[derive(Debug)]
struct PeerVerifier {
    roots: Arc<RootCertStore>,
    revoked: Option<Arc<RevocationLists>>,
    cluster: Uuid,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<NodeNumber, CertificateRefused> {
        let lists = self.revoked.as_ref().map(|revoked| revoked.all()).unwrap_or_default();
        // An authority without a list has revoked nothing. A list that expires while it is in use still counts: without it the
        // revoked would be admitted, and refusing everybody would stop the cluster. At a start it is an error.
        let options = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build()
        });
        self.verify_with(chain, now, options)
    }

    fn verify_without_lists(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<NodeNumber, CertificateRefused> {
        self.verify_with(chain, now, None)
    }

    fn verify_with(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        revocation: Option<RevocationOptions<'_>>,
    ) -> Result<NodeNumber, CertificateRefused> {
        let (end_entity, intermediates) = chain.split_first().ok_or(CertificateRefused::Absent)?;
        if intermediates.len() > INTERMEDIATES_MAX {
            return Err(CertificateRefused::Long);
        }
        let certificate = EndEntityCert::try_from(end_entity).map_err(CertificateRefused::Chain)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
            certificate
                .verify_for_usage(algorithms, &self.roots.roots, intermediates, now, usage, revocation, None)
                .map_err(CertificateRefused::Chain)?;
        }
        let mut uris = certificate.valid_uri_names();
        match (uris.next().and_then(read_node_uri), uris.next()) {
            (Some((cluster, node)), None) if cluster == self.cluster => Ok(node),
            _ => Err(CertificateRefused::Name),
        }
    }

    fn verify_pair(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let verified = self.verify(&chain, now);
        verified.map(drop).map_err(|refused| CertificateError::Other(OtherError(Arc::new(refused))).into())
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No caller needs the authorities' names. They are no secret: in TLS 1.3 this node shows its certificate before it sees
        // the other side's, so any caller can read cluster, number, hosts and the authority's name there, and no more.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify_pair(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify_pair(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(self)
    }
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
    /// Where it does not fit this node: what was in use stays.
    pub fn replace(&self, read: &tls::Credentials) -> Result<(), CredentialsError> {
        let configs = Arc::new(PeerConfigs::new(read, self.cluster, self.node)?);
        *self.configs.write() = configs;
        Ok(())
    }
}
