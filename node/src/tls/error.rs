//! Which files a node's certificate comes from, and why they cannot be used. No error says anything of a file's content.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

/// Longest file that is read, in bytes. Source: a thousand certificates, far above any chain.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPaths {
    /// The certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// The certificate's private key, not encrypted: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// The authorities that the other side's certificate may come from; several are valid together during a rotation.
    pub authority: Option<PathBuf>,
    /// The authorities' revocation lists, one of each at most; certificates that are on one count no more.
    pub revoked: Option<PathBuf>,
}

/// Why files cannot be used. One line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It is absent, or must not be read by this process.
    #[error("cannot read {path:?}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        error: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("{0:?} is not a regular file")]
    NotAFile(PathBuf),
    /// It is longer than any certificate file.
    #[error("{0:?} is longer than {FILE_BYTES_MAX} bytes")]
    TooLong(PathBuf),
    /// It has no PEM form, or ends within a section.
    #[error("{path:?} is not whole PEM: {why}")]
    BadPem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is PEM, and has no section of this kind.
    #[error("there is no certificate in {0:?}")]
    NoCertificate(PathBuf),
    /// A certificate in it cannot be read.
    #[error("certificate {number} in {path:?} cannot be read: {why}")]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// Which one in it, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// It is PEM, and has no section of this kind.
    #[error("there is no private key in {0:?} (an encrypted one is not read)")]
    NoKey(PathBuf),
    /// The key in it cannot be read, or is of a kind that is not supported.
    #[error("the private key in {path:?} cannot be used: {why}")]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is PEM, and has no section of this kind.
    #[error("there is no revocation list in {0:?} (`etebar-node pki revoke` writes one)")]
    NoRevocationList(PathBuf),
    /// A revocation list in it cannot be read, or not be relied on.
    #[error("revocation list {number} in {path:?} cannot be used: {why}")]
    BadRevocationList {
        /// The file.
        path: PathBuf,
        /// Which one in it, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// No authority that is trusted here has signed it.
    #[error(
        "revocation list {number} in {path:?} is of no authority that is trusted here, or was changed: take the crl.pem that \
         `etebar-node pki revoke` wrote beside the ca.key of an authority in use, and leave out the lists of others"
    )]
    ForeignRevocationList {
        /// The file.
        path: PathBuf,
        /// Which one in it, from 1.
        number: usize,
    },
    /// There is another one of the same authority.
    #[error("revocation list {number} in {path:?} is the second of one authority: keep the newest alone")]
    SecondRevocationList {
        /// The file.
        path: PathBuf,
        /// Which one in it, from 1.
        number: usize,
    },
    /// The two do not belong together.
    #[error("the private key in {key:?} does not fit the first certificate in {certificate:?}")]
    KeyDoesNotFit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// What is wrong with the form, without a byte of the file: it may be a key.
pub(super) fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it ends within a section",
        pem::Error::IllegalSectionStart { .. } => "a section begins with a malformed line",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::NoItemsFound => "there is no section in it",
        pem::Error::SectionTooLarge => "a section is too long",
        _ => "it cannot be read",
    }
}
