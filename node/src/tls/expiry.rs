//! From when and until when certificates are valid.
//!
//! Unit: milliseconds since the Unix epoch. rustls checks the other side's times by itself and does not show them.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::TlsFileError;

/// The time in which a certificate, or a set of them, is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not valid before.
    pub from_ms: u64,
    /// Not valid after.
    pub until_ms: u64,
}

impl Validity {
    /// The time in which all of these are valid, as a chain must be.
    pub(super) fn of_all(parts: &[Validity]) -> Validity {
        let from_ms = parts.iter().map(|part| part.from_ms).max().unwrap_or(0);
        let until_ms = parts.iter().map(|part| part.until_ms).min().unwrap_or(u64::MAX);
        Validity { from_ms, until_ms }
    }

    /// The time in which one of these is valid, as suffices for authorities.
    pub(super) fn of_any(parts: &[Validity]) -> Validity {
        let from_ms = parts.iter().map(|part| part.from_ms).min().unwrap_or(0);
        let until_ms = parts.iter().map(|part| part.until_ms).max().unwrap_or(u64::MAX);
        Validity { from_ms, until_ms }
    }
}

/// Until when what one set of files holds is valid, in milliseconds since the Unix epoch, and how many it revokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiries {
    /// The first certificate of the chain that expires.
    pub certificate_ms: u64,
    /// The last of the authorities, where there are some.
    pub authority_ms: Option<u64>,
    /// The first of the revocation lists that ends, where there are some.
    pub list_ms: Option<u64>,
    /// Certificates on these lists.
    pub revoked: usize,
}

/// When each of the certificates in the file `path` is valid.
pub(super) fn validities(path: &Path, certificates: &[CertificateDer<'_>]) -> Result<Vec<Validity>, TlsFileError> {
    let read = |(index, certificate): (usize, &CertificateDer<'_>)| {
        let parsed = X509Certificate::from_der(certificate).map_err(|error| TlsFileError::BadCertificate {
            path: path.to_owned(),
            number: index + 1,
            why: error.to_string(),
        })?;
        let validity = parsed.1.validity();
        // A time before 1970 is long over.
        let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
        Ok(Validity { from_ms: ms(validity.not_before.timestamp()), until_ms: ms(validity.not_after.timestamp()) })
    };
    certificates.iter().enumerate().map(read).collect()
}
