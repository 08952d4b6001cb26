//! `etebar-node pki revoke`: revokes certificates, in DIR/crl.pem, which `run --peer-crl` reads.
//!
//! Certificates are known by their serial number, which is made of the public key. Invariant: a list only grows, and is
//! replaced whole; a certificate that a renewal replaces is kept (without its key), so that it can be revoked later.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::files::{self, Draft, PUBLIC, failed};
use super::name::{hex, read_node_uri};
use super::{Authority, Lifetime, PkiError};
use crate::tls::RevocationLists;

/// The folder of certificates that were replaced.
const REPLACED: &str = "replaced";

/// Which of a node's certificates are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revoke {
    /// All of them: the node is out until it has a new one.
    All,
    /// Those that renewals replaced: the node continues with its present one.
    Replaced,
}

/// Revokes a node's certificates, at `now_ms`; returns what to print. Safe to repeat.
pub(super) fn revoke(
    dir: &Path,
    authority: &Authority,
    node: u64,
    which: Revoke,
    lifetime: Lifetime,
    now_ms: u64,
) -> Result<String, PkiError> {
    // Two at once would each leave out what the other one revokes.
    let path = dir.join("ca.pem");
    let lock = File::open(&path).map_err(failed("open", &path))?;
    lock.lock().map_err(failed("lock", &path))?;
    let serials = serials_of(dir, authority, node, which)?;
    let path = dir.join("crl.pem");
    let mut list = RevocationFile::read(&path, authority)?;
    let new = serials.into_iter().filter(|serial| list.add(serial, now_ms / 1_000)).count();
    Draft::write(&path, &list.sign(authority, now_ms / 1_000, lifetime.until)?, PUBLIC)?.replace()?;
    let until = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(lifetime.until));
    Ok(format!(
        "revoked {new} more of node {node}: {} has {} now and ends at {until} (give it to every node, for --peer-crl; \
         repeat this before it ends)",
        path.display(),
        list.revoked.len(),
    ))
}

/// Whether DIR/crl.pem has the certificate in this PEM text.
pub(super) fn is_revoked(dir: &Path, authority: &Authority, certificate: &str) -> Result<bool, PkiError> {
    let list = RevocationFile::read(&dir.join("crl.pem"), authority)?;
    let certificate = der(certificate, dir)?;
    Ok(parsed(&certificate, dir)?.is_some_and(|certificate| list.revoked.contains_key(certificate.raw_serial())))
}

/// Keeps a certificate that is about to be replaced, so that it can be revoked.
pub(super) fn keep_replaced(dir: &Path, name: &str, certificate: &str) -> Result<(), PkiError> {
    // A damaged one has no serial number to be revoked by, and cannot be used.
    let Ok(text) = der(certificate, dir) else { return Ok(()) };
    let Ok(Some(parsed)) = parsed(&text, dir) else { return Ok(()) };
    let serial = hex(parsed.raw_serial().iter());
    files::make_folder(&dir.join(REPLACED))?;
    let path = dir.join(REPLACED).join(format!("{name}-{serial}.pem"));
    match Draft::write(&path, certificate, PUBLIC)?.publish() {
        // Kept by a renewal that was interrupted.
        Ok(()) | Err(PkiError::Exists(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The serial numbers of a node's certificates of this authority, as far as the folder has them.
fn serials_of(dir: &Path, authority: &Authority, node: u64, which: Revoke) -> Result<Vec<Vec<u8>>, PkiError> {
    let present = dir.join(format!("node-{node}.pem"));
    let mut paths = replaced(dir, node)?;
    if which == Revoke::All && files::read(&present)?.is_some() {
        paths.push(present.clone());
    }
    let issuer = der(authority.certificate(), dir)?;
    let issuer = parsed(&issuer, dir)?.map(|issuer| issuer.subject().as_raw().to_vec());
    let mut serials = Vec::new();
    for path in paths {
        let Some(text) = files::read(&path)? else { continue };
        let certificate = der(&text, &path)?;
        let Some(parsed) = parsed(&certificate, &path)? else { continue };
        let of_node = EndEntityCert::try_from(&certificate)
            .is_ok_and(|named| named.valid_uri_names().filter_map(read_node_uri).any(|(_, named)| named == node));
        if of_node && Some(parsed.issuer().as_raw()) == issuer.as_deref() {
            serials.push(parsed.raw_serial().to_vec());
        } else if path == present {
            return Err(PkiError::Revocation(format!(
                "{} is not a certificate of node {node} by the authority in {}: nothing was revoked",
                path.display(),
                dir.display()
            )));
        }
    }
    match (serials.is_empty(), which) {
        (false, Revoke::All | Revoke::Replaced) => Ok(serials),
        (true, Revoke::All) => Err(PkiError::Revocation(format!(
            "there is no certificate of node {node} in {}: a copy of it as node-{node}.pem is enough to revoke it",
            dir.display()
        ))),
        (true, Revoke::Replaced) => Err(PkiError::Revocation(format!(
            "no certificate of node {node} was replaced in {} (`pki node --renew` replaces one)",
            dir.display()
        ))),
    }
}

/// The certificates of a node that renewals replaced.
fn replaced(dir: &Path, node: u64) -> Result<Vec<PathBuf>, PkiError> {
    let folder = dir.join(REPLACED);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", &folder)(error)),
    };
    let start = format!("node-{node}-");
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("read", &folder))?;
        let is_of_node = entry.file_name().to_str().is_some_and(|name| {
            name.starts_with(&start) && Path::new(name).extension().is_some_and(|ending| ending == "pem")
        });
        if is_of_node {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn der(text: &str, path: &Path) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|error| PkiError::Revocation(format!("the certificate in {} is damaged: {error}", path.display())))
}

/// `None` where there is more behind it.
fn parsed<'a>(der: &'a CertificateDer<'_>, path: &Path) -> Result<Option<X509Certificate<'a>>, PkiError> {
    let (rest, parsed) = X509Certificate::from_der(der)
        .map_err(|error| PkiError::Revocation(format!("the certificate in {} is damaged: {error}", path.display())))?;
    Ok(rest.is_empty().then_some(parsed))
}

/// An authority's list.
#[derive(Debug, Default)]
pub(crate) struct RevocationFile {
    number: u64,
    /// Serial numbers, and when each was revoked, in seconds since the Unix epoch.
    revoked: BTreeMap<Vec<u8>, u64>,
}

impl RevocationFile {
    /// The list that was written last; an empty one where there is none.
    fn read(path: &Path, authority: &Authority) -> Result<Self, PkiError> {
        let Some(text) = files::read(path)? else { return Ok(Self::default()) };
        let unfit = |why: String| {
            PkiError::Revocation(format!("{why}; nothing was revoked: restore the file from a node that has it"))
        };
        let issuer = [der(authority.certificate(), path)?];
        RevocationLists::read(path, text.as_bytes(), &issuer).map_err(|error| unfit(error.to_string()))?;
        let der = CertificateRevocationListDer::from_pem_slice(text.as_bytes())
            .map_err(|error| unfit(format!("{} is damaged: {error}", path.display())))?;
        let (_, list) = CertificateRevocationList::from_der(&der)
            .map_err(|error| unfit(format!("{} is damaged: {error}", path.display())))?;
        let number = list.crl_number().and_then(|number| number.to_u64_digits().first().copied()).unwrap_or(0);
        let entry = |entry: &x509_parser::revocation_list::RevokedCertificate<'_>| {
            (entry.raw_serial().to_vec(), u64::try_from(entry.revocation_date.timestamp()).unwrap_or(0))
        };
        Ok(Self { number, revoked: list.iter_revoked_certificates().map(entry).collect() })
    }

    /// An empty list that follows that of this number.
    #[cfg(test)]
    pub(crate) fn numbered_after(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Takes a certificate in; whether it was not there.
    pub(crate) fn add(&mut self, serial: &[u8], now: u64) -> bool {
        let is_new = !self.revoked.contains_key(serial);
        self.revoked.entry(serial.to_vec()).or_insert(now);
        is_new
    }

    /// The list as PEM, with the next number, good from `now` until `until`, in seconds since the Unix epoch.
    pub(crate) fn sign(&self, authority: &Authority, now: u64, until: u64) -> Result<String, PkiError> {
        let time = |seconds: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        let entry = |(serial, at): (&Vec<u8>, &u64)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: time(*at),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: time(now),
            next_update: time(until),
            crl_number: SerialNumber::from(self.number.saturating_add(1)),
            issuing_distribution_point: None,
            revoked_certs: self.revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&authority.issuer)?.pem()?)
    }
}
