//! PEM files: a certificate chain, its private key and, where peers are verified, the authorities to trust and whom they
//! revoked.
//!
//! Unit: a file is read whole and is at most [`FILE_BYTES_MAX`] long. Invariant of [`Credentials`]: the chain is not empty and
//! the key fits its first certificate. No error says anything of a file's content.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use tracing::warn;
use webpki::EndEntityCert;

use super::error::{FILE_BYTES_MAX, TlsFileError, TlsPaths, reason};
use super::expiry::{Expiries, Validity, validities};
use super::revoked::RevocationLists;

/// Rights of a key file that are warned of: anything for users that are neither the owner nor in the group.
const MODE_OTHERS: u32 = 0o007;

/// What was read from the files at one instant.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// 1 for what was read at the start, and one more for each change since.
    pub version: u64,
    /// The chain and its key, as rustls's resolvers take them (`SingleCertAndKey::from`).
    pub identity: Arc<CertifiedKey>,
    /// The authorities, where [`TlsPaths::authority`] names a file; never empty.
    pub authority: Option<Arc<RootCertStore>>,
    /// When the first certificate of the chain that expires does so.
    pub validity: Validity,
    /// Until when the last of the authorities is valid.
    pub authority_validity: Option<Validity>,
    /// The revocation lists, where [`TlsPaths::revoked`] names a file.
    pub revoked: Option<Arc<RevocationLists>>,
}

impl Credentials {
    /// Reads the files. Blocks on the disk.
    ///
    /// # Errors
    /// Where a file cannot be read or used, or the key does not fit the certificate.
    pub fn load(paths: &TlsPaths) -> Result<Credentials, TlsFileError> {
        let chain = certificates(&paths.certificate)?;
        let validity = Validity::of_all(&validities(&paths.certificate, &chain)?);
        // All that may have signed a revocation list: the authorities, and those that stand between one and this node.
        let mut issuers: Vec<_> = chain.iter().skip(1).cloned().collect();
        let identity = Arc::new(certified(paths, chain)?);
        let (authority, authority_validity) = match &paths.authority {
            Some(path) => {
                let certificates = certificates(path)?;
                issuers.extend(certificates.iter().cloned());
                let (roots, validity) = authorities(path, certificates)?;
                (Some(Arc::new(roots)), Some(validity))
            }
            None => (None, None),
        };
        let revoked = paths.revoked.as_ref().map(|path| RevocationLists::read(path, &read(path)?, &issuers));
        let revoked = revoked.transpose()?.map(Arc::new);
        Ok(Credentials { version: 1, identity, authority, validity, authority_validity, revoked })
    }

    /// Until when all of this is valid.
    pub fn expiries(&self) -> Expiries {
        Expiries {
            certificate_ms: self.validity.until_ms,
            authority_ms: self.authority_validity.map(|validity| validity.until_ms),
            list_ms: self.revoked.as_ref().map(|lists| lists.until_ms()),
            revoked: self.revoked.as_ref().map_or(0, |lists| lists.count()),
        }
    }

    /// Whether the certificate is for this host: a name, or an IP address, an IPv6 one in brackets or not.
    pub fn names(&self, host: &str) -> bool {
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let Ok(host) = ServerName::try_from(host) else { return false };
        let certificate = self.identity.cert.first().map(EndEntityCert::try_from);
        matches!(certificate, Some(Ok(certificate)) if certificate.verify_is_valid_for_subject_name(&host).is_ok())
    }
}

fn certified(paths: &TlsPaths, chain: Vec<CertificateDer<'static>>) -> Result<CertifiedKey, TlsFileError> {
    let key = private_key(&paths.key)?;
    CertifiedKey::from_der(chain, key, &super::provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsFileError::KeyDoesNotFit { certificate: paths.certificate.clone(), key: paths.key.clone() }
        }
        rustls::Error::InvalidCertificate(why) => {
            TlsFileError::BadCertificate { path: paths.certificate.clone(), number: 1, why: format!("{why:?}") }
        }
        other => TlsFileError::BadKey { path: paths.key.clone(), why: other.to_string() },
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, pem::Error>>()
        .map_err(|error| TlsFileError::BadPem { path: path.to_owned(), why: reason(&error) })?;
    if chain.is_empty() { Err(TlsFileError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsFileError::NoKey(path.to_owned()),
        other => TlsFileError::BadPem { path: path.to_owned(), why: reason(&other) },
    })
}

fn authorities(
    path: &Path,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<(RootCertStore, Validity), TlsFileError> {
    let validity = Validity::of_any(&validities(path, &certificates)?);
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| TlsFileError::BadCertificate {
            path: path.to_owned(),
            number: index + 1,
            why: error.to_string(),
        })?;
    }
    Ok((roots, validity))
}

/// `O_NONBLOCK` of open(2).
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// The whole file. Opened without waiting, since a pipe without a writer would block the node.
fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let unreadable = |error| TlsFileError::Unreadable { path: path.to_owned(), error };
    let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(TlsFileError::NotAFile(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_BYTES_MAX);
    if fits { Ok(bytes) } else { Err(TlsFileError::TooLong(path.to_owned())) }
}

/// Warns where users other than the owner and the group may use the key file.
pub(super) fn warn_of_open_key(paths: &TlsPaths) {
    // Where it cannot be looked at, reading it says so.
    let Ok(metadata) = std::fs::metadata(&paths.key) else { return };
    if metadata.mode() & MODE_OTHERS != 0 {
        let mode = format!("{:o}", metadata.mode() & 0o7777);
        warn!(file = ?paths.key, %mode, "every user of this machine may read the private key, or change it: chmod 600");
    }
}
