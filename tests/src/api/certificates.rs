//! Certificates of servers, as another authority than Etebar's own makes them ([`crate::cluster::pki`] has those of nodes), and a
//! client that trusts any.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// An authority, and the file of its certificate for clients that trust it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub file: PathBuf,
}

/// A certificate and its key, as PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Where a server reads them.
pub struct ServerFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority, whose certificate is `NAME.pem` in this folder.
    pub fn new(folder: &Path, name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key is drawn");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        // Since 3.13 Python insists on it, and on the authority's name in what it signed.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).expect("an authority signs itself").pem()).expect("a file");
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// A certificate for these names and addresses.
    pub fn server(&self, hosts: &[&str]) -> Pair {
        self.signed(&params(hosts))
    }

    /// One that was valid once.
    pub fn expired(&self, hosts: &[&str]) -> Pair {
        let mut params = params(hosts);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
        self.signed(&params)
    }

    fn signed(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key is drawn");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    /// A certificate for these names and addresses that no authority vouches for.
    pub fn self_signed(hosts: &[&str]) -> Pair {
        let key = KeyPair::generate().expect("a key is drawn");
        let certificate = params(hosts).self_signed(&key).expect("a key signs for itself");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn params(hosts: &[&str]) -> CertificateParams {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names that a certificate can have");
    params.use_authority_key_identifier_extension = true;
    params
}

impl ServerFiles {
    /// `NAME-cert.pem` and `NAME-key.pem` in this folder.
    pub fn below(folder: &Path, name: &str) -> ServerFiles {
        ServerFiles {
            certificate: folder.join(format!("{name}-cert.pem")),
            key: folder.join(format!("{name}-key.pem")),
        }
    }

    /// Puts another pair in place, each file by a rename.
    pub fn replace(&self, pair: &Pair) {
        for (path, text) in [(&self.certificate, &pair.certificate), (&self.key, &pair.key)] {
            let next = path.with_extension("next");
            std::fs::write(&next, text).expect("a file");
            std::fs::rename(&next, path).expect("a file takes another's place");
        }
    }

    /// Where both stand.
    pub fn folder(&self) -> &Path {
        self.certificate.parent().expect("a file stands in a folder")
    }
}

/// Trusts any server of TLS 1.3, to test what an unverified server sends.
#[derive(Debug)]
pub struct AnyServer(WebPkiSupportedAlgorithms);

impl Default for AnyServer {
    fn default() -> AnyServer {
        AnyServer(ring::default_provider().signature_verification_algorithms)
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        panic!("a node supports TLS 1.3 alone");
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
