//! Verifies the certificates of nodes, on both ends of a connection alike.
//!
//! Invariant: a certificate counts only where it chains to a trusted authority, is valid now, allowed for both ends of a
//! connection, not revoked, and names one node of this cluster.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use ledger::NodeNumber;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, PeerMisbehaved, RootCertStore,
    SignatureScheme,
};
use uuid::Uuid;
use webpki::{
    EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::pki::name::read_node_uri;
use crate::tls::RevocationLists;

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

/// A time as it is logged.
pub fn shown_time(time: UnixTime) -> impl std::fmt::Display {
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
pub struct PeerVerifier {
    /// The trusted authorities.
    pub roots: Arc<RootCertStore>,
    /// The certificates that count no longer.
    pub revoked: Option<Arc<RevocationLists>>,
    /// The cluster that a certificate has to name.
    pub cluster: Uuid,
    /// The cryptography.
    pub provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    /// The node that a chain names; why it is refused.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<NodeNumber, CertificateRefused> {
        let lists = self.revoked.as_ref().map(|revoked| revoked.all()).unwrap_or_default();
        // An authority without a list has revoked nothing. A list that expires while it is in use still counts: without it the
        // revoked would be admitted, and refusing all would stop the cluster. At a start it is an error.
        let options = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build()
        });
        self.verify_with(chain, now, options)
    }

    /// The same for a certificate that may be revoked.
    pub fn verify_without_lists(
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
