//! Revocation lists: the certificates that an authority revoked.
//!
//! Invariant of [`RevocationLists`]: there is one at least; each is whole, signed by an authority that is trusted here (or
//! by one that leads to it), and the only one of its authority, so that none is hidden by an older one beside it. Which of two
//! files is older, the numbers of their lists say (`crlNumber` of RFC 5280), which an authority only raises.

use std::collections::BTreeMap;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{CertRevocationList, EndEntityCert, OwnedCertRevocationList};
use x509_parser::num_bigint::BigUint;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::error::{TlsFileError, reason};

/// The lists of one file.
#[derive(Debug)]
pub struct RevocationLists {
    lists: Vec<CertRevocationList<'static>>,
    /// The number of the list of each authority, by its name; a list without one is older than all others.
    numbers: BTreeMap<Vec<u8>, Option<BigUint>>,
    /// When the first of them ends.
    until: UnixTime,
    /// Certificates on all of them.
    count: usize,
}

impl RevocationLists {
    /// The lists in `text`, which was read from `path`, each by one of the `issuers`.
    pub(crate) fn read(path: &Path, text: &[u8], issuers: &[CertificateDer<'_>]) -> Result<Self, TlsFileError> {
        let ders: Vec<_> = CertificateRevocationListDer::pem_slice_iter(text)
            .collect::<Result<_, pem::Error>>()
            .map_err(|error| TlsFileError::BadPem { path: path.to_owned(), why: reason(&error) })?;
        let mut until = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::MAX >> 1));
        let (mut lists, mut numbers, mut count) = (Vec::new(), BTreeMap::new(), 0);
        for (index, der) in ders.iter().enumerate() {
            let number = index + 1;
            let bad = |why: String| TlsFileError::BadRevocationList { path: path.to_owned(), number, why };
            let list = OwnedCertRevocationList::from_der(der).map_err(|error| bad(format!("{error:?}")))?;
            if list_is_partial(&list) {
                return Err(bad("it is not of all certificates of its authority".to_owned()));
            }
            let (_, parsed) = CertificateRevocationList::from_der(der).map_err(|error| bad(error.to_string()))?;
            if !issuers.iter().any(|issuer| has_signed(issuer, &parsed)) {
                return Err(TlsFileError::ForeignRevocationList { path: path.to_owned(), number });
            }
            if numbers.insert(parsed.issuer().as_raw().to_vec(), parsed.crl_number().cloned()).is_some() {
                return Err(TlsFileError::SecondRevocationList { path: path.to_owned(), number });
            }
            count += parsed.iter_revoked_certificates().count();
            let end = parsed.next_update().map_or(0, |end| end.timestamp());
            let end = std::time::Duration::from_secs(u64::try_from(end).unwrap_or(0));
            until = until.min(UnixTime::since_unix_epoch(end));
            lists.push(list.into());
        }
        if lists.is_empty() {
            return Err(TlsFileError::NoRevocationList(path.to_owned()));
        }
        Ok(Self { lists, numbers, until, count })
    }

    /// Whether one of them is older than that of the same authority in `before`: it may lack certificates that were revoked.
    pub fn has_older_than(&self, before: &Self) -> bool {
        let is_older =
            |(name, number): (&Vec<u8>, &Option<BigUint>)| before.numbers.get(name).is_some_and(|newer| number < newer);
        self.numbers.iter().any(is_older)
    }

    /// When the first of them ended, where that was before `now`.
    pub fn ended_before(&self, now: UnixTime) -> Option<UnixTime> {
        (self.until <= now).then_some(self.until)
    }

    /// How many certificates are on them.
    pub fn count(&self) -> usize {
        self.count
    }

    /// When the first of them ends, in milliseconds since the Unix epoch.
    pub fn until_ms(&self) -> u64 {
        self.until.as_secs().saturating_mul(1_000)
    }

    /// All of them, as webpki takes them.
    pub fn all(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().collect()
    }
}

/// Whether it leaves certificates out that another list has.
fn list_is_partial(list: &OwnedCertRevocationList) -> bool {
    CertRevocationList::from(list.clone()).issuing_distribution_point().is_some()
}

/// Whether the list has this certificate's name and the signature of its key.
fn has_signed(issuer: &CertificateDer<'_>, list: &CertificateRevocationList<'_>) -> bool {
    let (Ok((_, named)), Ok(certificate)) = (X509Certificate::from_der(issuer), EndEntityCert::try_from(issuer)) else {
        return false;
    };
    let signed = |algorithm: &&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
        certificate.verify_signature(*algorithm, list.tbs_cert_list.as_ref(), &list.signature_value.data).is_ok()
    };
    named.subject().as_raw() == list.issuer().as_raw()
        && super::provider().signature_verification_algorithms.all.iter().any(signed)
}
