//! A small certificate authority: what nodes prove their numbers to each other with.
//!
//! A node's certificate carries the URI `etebar://CLUSTER/node/N`: cluster and number are read from there and from nowhere
//! else. Keys are ECDSA P-256. Invariant: a key file is readable by its owner alone from its creation, and no file
//! is replaced unless the caller says so.

mod command;
mod files;
pub mod name;
pub(crate) mod revoke;

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName};
use uuid::Uuid;

pub use self::command::{PkiVerb, run};
use self::name::{client_uri, hex, node_uri};

/// How far back a new certificate is valid. Source: a node whose clock is slow by days must be able to talk to the others,
/// or its wrong clock goes unnoticed.
const BACKDATED: Duration = Duration::from_hours(30 * 24);

/// Why a certificate was not made. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Making the key or the certificate failed.
    #[error("the certificate could not be made: {0}")]
    Made(#[from] rcgen::Error),
    /// A host that is neither a name nor an address.
    #[error("--host {0:?} is neither a DNS name nor an IP address")]
    Host(String),
    /// The authority's files cannot be used.
    #[error("{0}")]
    Authority(String),
    /// It exists.
    #[error("{0}")]
    Exists(String),
    /// There is nothing to revoke, or the list is not the authority's.
    #[error("{0}")]
    Revocation(String),
    /// The file system failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// From when until when a certificate is valid, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// The first second.
    pub from: u64,
    /// The last second.
    pub until: u64,
}

impl Lifetime {
    /// For so many days from `now_ms` (milliseconds since the Unix epoch), and for a while before.
    pub fn for_days(days: u32, now_ms: u64) -> Self {
        let now = now_ms / 1_000;
        Self { from: now.saturating_sub(BACKDATED.as_secs()), until: now + u64::from(days) * 86_400 }
    }
}

/// Whom a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A node of a cluster, as a server and as a client of other nodes.
    Node {
        /// The cluster's id.
        cluster: Uuid,
        /// The node's number.
        node: u64,
        /// Its DNS names and IP addresses.
        hosts: Vec<String>,
    },
    /// An operator, as a client alone.
    Client {
        /// The cluster's id.
        cluster: Uuid,
        /// The operator's name.
        name: String,
    },
}

/// A certificate and its private key, both as PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key, PKCS #8.
    pub key: String,
}

/// An authority that can issue.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority, and its key as PEM.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn generate(lifetime: Lifetime) -> Result<(Self, String), PkiError> {
        let key = KeyPair::generate()?;
        let pem = key.serialize_pem();
        Ok((Self::self_signed(key, lifetime)?, pem))
    }

    /// The authority of this key, with a certificate made now.
    fn self_signed(key: KeyPair, lifetime: Lifetime) -> Result<Self, PkiError> {
        // Two authorities that are valid during a rotation are distinguished by a part of their public keys.
        let mark = hex(key.public_key_raw().iter().rev().take(4));
        let mut params = params(&format!("Etebar authority {mark}"), lifetime);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// The authority of this key (PEM), whose certificate was lost before it issued any.
    ///
    /// # Errors
    /// Where the key is damaged.
    pub fn of_key(key: &str, lifetime: Lifetime) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key)
            .map_err(|error| PkiError::Authority(format!("the authority's key is damaged: {error}")))?;
        Self::self_signed(key, lifetime)
    }

    /// The authority in these PEM texts.
    ///
    /// # Errors
    /// Where either is damaged, or the key is another certificate's.
    pub fn read(certificate: &str, key: &str) -> Result<Self, PkiError> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| PkiError::Authority(format!("the authority's certificate is damaged: {error}")))?;
        let key = KeyPair::from_pem(key)
            .map_err(|error| PkiError::Authority(format!("the authority's key is damaged: {error}")))?;
        let parsed = webpki::EndEntityCert::try_from(&der)
            .map_err(|error| PkiError::Authority(format!("the authority's certificate is damaged: {error}")))?;
        if parsed.subject_public_key_info().as_ref() != key.subject_public_key_info() {
            return Err(PkiError::Authority("the authority's key does not belong to its certificate".to_owned()));
        }
        Ok(Self { certificate: certificate.to_owned(), issuer: Issuer::from_ca_cert_der(&der, key)? })
    }

    /// The authority's certificate as PEM, which is public.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A new key, and a certificate for it.
    ///
    /// # Errors
    /// Where a host is none, or the system has no randomness.
    pub fn issue(&self, subject: &Subject, lifetime: Lifetime) -> Result<Issued, PkiError> {
        let key = KeyPair::generate()?;
        Ok(Issued { certificate: self.certify(&key, subject, lifetime)?, key: key.serialize_pem() })
    }

    /// A certificate for a key (PEM) that is there already.
    ///
    /// # Errors
    /// Where a host is none, or the key is damaged.
    pub fn issue_for(&self, key: &str, subject: &Subject, lifetime: Lifetime) -> Result<String, PkiError> {
        self.certify(&KeyPair::from_pem(key)?, subject, lifetime)
    }

    fn certify(&self, key: &KeyPair, subject: &Subject, lifetime: Lifetime) -> Result<String, PkiError> {
        let mut params = match subject {
            Subject::Node { cluster, node, hosts } => {
                let mut params = params(&format!("Etebar node {node}"), lifetime);
                params.subject_alt_names.push(SanType::URI(node_uri(*cluster, *node).try_into()?));
                for host in hosts {
                    params.subject_alt_names.push(host_name(host)?);
                }
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
                params
            }
            Subject::Client { cluster, name } => {
                let mut params = params(&format!("Etebar client {name}"), lifetime);
                params.subject_alt_names.push(SanType::URI(client_uri(*cluster, name).try_into()?));
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params
            }
        };
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

fn params(common_name: &str, lifetime: Lifetime) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = epoch + Duration::from_secs(lifetime.from);
    params.not_after = epoch + Duration::from_secs(lifetime.until);
    params
}

fn host_name(host: &str) -> Result<SanType, PkiError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    match DnsName::try_from(host) {
        Ok(_) => Ok(SanType::DnsName(host.try_into()?)),
        Err(_invalid) => Err(PkiError::Host(host.to_owned())),
    }
}

/// What a node would read from a list on which the authority revoked these certificates, valid until then; for tests.
#[cfg(test)]
pub(crate) fn revoked_in_memory(
    by: &Authority,
    issued: &[&crate::tls::Credentials],
    until: u64,
    number: u64,
) -> crate::tls::RevocationLists {
    use x509_parser::prelude::FromDer;
    let mut list = revoke::RevocationFile::numbered_after(number.saturating_sub(1));
    for credentials in issued {
        let (_, parsed) = x509_parser::prelude::X509Certificate::from_der(&credentials.identity.cert[0]).unwrap();
        list.add(parsed.raw_serial(), 1_000);
    }
    let text = list.sign(by, 1_000, until).unwrap();
    let issuer = [CertificateDer::from_pem_slice(by.certificate().as_bytes()).unwrap()];
    crate::tls::RevocationLists::read(std::path::Path::new("crl.pem"), text.as_bytes(), &issuer).unwrap()
}

/// What a node would read from its files, for tests: issued by `authority`, beside the authorities that it trusts.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn in_memory(issued: &Issued, trusted: &[&Authority]) -> crate::tls::Credentials {
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("it was made as PEM");
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("it was made as PEM");
    let mut roots = rustls::RootCertStore::empty();
    for authority in trusted {
        roots.add(der(authority.certificate())).expect("an authority of our own");
    }
    let chain = vec![der(&issued.certificate)];
    let identity = rustls::sign::CertifiedKey::from_der(chain, key, &crate::tls::provider()).expect("its own key");
    let validity = crate::tls::Validity { from_ms: 0, until_ms: u64::MAX };
    crate::tls::Credentials {
        version: 1,
        identity: identity.into(),
        authority: Some(roots.into()),
        validity,
        authority_validity: Some(validity),
        revoked: None,
    }
}

#[cfg(test)]
mod revoke_tests;
#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn days(days: u32) -> Lifetime {
        Lifetime::for_days(days, NOW_MS)
    }

    #[test]
    fn an_authority_that_was_read_issues_what_its_certificate_vouches_for() {
        let (made, key) = Authority::generate(days(10)).unwrap();
        let authority = Authority::read(made.certificate(), &key).unwrap();
        let node = Subject::Node { cluster: Uuid::from_u128(7), node: 3, hosts: vec!["n3".into(), "10.0.0.3".into()] };
        let issued = authority.issue(&node, days(5)).unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        let parsed = webpki::EndEntityCert::try_from(&der).unwrap();
        let uris: Vec<_> = parsed.valid_uri_names().collect();
        assert_eq!(uris, ["etebar://00000000-0000-0000-0000-000000000007/node/3"]);
        assert_eq!(parsed.valid_dns_names().collect::<Vec<_>>(), ["n3"]);
    }

    #[test]
    fn a_key_of_another_authority_is_refused() {
        let ((one, _), (_, other_key)) = (Authority::generate(days(1)).unwrap(), Authority::generate(days(1)).unwrap());
        let refused = Authority::read(one.certificate(), &other_key).unwrap_err();
        assert!(refused.to_string().contains("does not belong"), "{refused}");
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        let (authority, _) = Authority::generate(days(1)).unwrap();
        for host in ["", "two words", "-", "http://n1", "n1:7121"] {
            let node = Subject::Node { cluster: Uuid::from_u128(7), node: 1, hosts: vec![host.to_owned()] };
            assert!(matches!(authority.issue(&node, days(1)), Err(PkiError::Host(_))), "{host}");
        }
    }
}
