//! Why a connection to a peer ended or failed, for the log and for deciding on another attempt.

use std::io;

use ledger::NodeNumber;
use rustls::{CertificateError, OtherError};
use serde::{Deserialize, Serialize};

use super::message::LINK_VERSION;
use super::trust::verifier::CertificateRefused;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
    /// The other side closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// Nothing came in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// What arrived does not decode.
    #[error("the peer sent what does not decode: {0}")]
    Malformed(String),
    /// One side refused the other's certificate or hello.
    #[error(transparent)]
    Refused(Refused),
}

/// A refusal, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// Its kind, for throttling the log.
    pub kind: &'static str,
    /// The node it concerns, where a certificate proved its number.
    pub node: Option<NodeNumber>,
    /// One line that names the remedy.
    pub reason: String,
}

impl LinkError {
    /// A refusal of a node that proved its number, or of a caller that did not.
    pub fn refused(kind: &'static str, node: Option<NodeNumber>, reason: String) -> Self {
        Self::Refused(Refused { kind, node, reason })
    }

    /// A refusal for the sake of the peer's certificate.
    pub fn certificate(node: Option<NodeNumber>, refused: &CertificateRefused) -> Self {
        Self::refused(refused.kind(), node, format!("the peer's certificate is refused: {refused}"))
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, error.kind()) {
            (Some(refused), _) => distrust(refused),
            // An end without close_notify; a frame that was cut short is noticed by its length.
            (None, io::ErrorKind::UnexpectedEof) => Self::Closed,
            (None, _) => Self::Io(error),
        }
    }
}

/// Why TLS ended, for the operator: what this side found, or the alert that the other one sent.
fn distrust(error: &rustls::Error) -> LinkError {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => {
            match reason.downcast_ref::<CertificateRefused>() {
                Some(refused) => LinkError::certificate(None, refused),
                None => LinkError::refused("certificate", None, format!("the peer's certificate is refused: {reason}")),
            }
        }
        rustls::Error::NoCertificatesPresented => LinkError::certificate(None, &CertificateRefused::Absent),
        rustls::Error::AlertReceived(alert) => LinkError::refused(
            "alert",
            None,
            format!("the peer refused this node's certificate ({alert:?}): its log says why"),
        ),
        other => LinkError::refused("TLS", None, format!("the peer does not speak TLS as nodes do: {other}")),
    }
}

/// Why a caller is refused, as far as it may know: it says what the caller has to check, and nothing about the node that
/// refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HelloRefusal {
    /// It speaks another version of the link.
    Version,
    /// Its certificate is not that of the number it says.
    Certificate,
    /// It dialled the address of another node.
    Address,
    /// Its number is not a member's now.
    NoMember,
    /// Its number is known with another data directory.
    Directory,
    /// It could not be stored: a fault of this side's disk.
    Disk,
}

/// What an operator has to know where a node is not a member.
pub(super) const NO_MEMBER: &str =
    "the members are those of `init --member`; one that was removed cannot come back under its number";

impl HelloRefusal {
    /// Its kind, for throttling the log.
    fn kind(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Certificate => "another number",
            Self::Address => "address",
            Self::NoMember => "no member",
            Self::Directory => "directory",
            Self::Disk => "disk",
        }
    }

    /// The refusal of a node that proved its number, if it did, for the own log.
    pub(super) fn of(self, node: impl Into<Option<NodeNumber>>, reason: String) -> LinkError {
        LinkError::refused(self.kind(), node.into(), reason)
    }

    /// What the caller logs for its operator; `me` is the caller, `to` whom it dialled.
    pub(super) fn remedy(self, me: NodeNumber, to: NodeNumber) -> String {
        match self {
            Self::Version => {
                format!("node {to} speaks another version of the peer link than {LINK_VERSION}: run the same build")
            }
            Self::Certificate => format!("node {to} does not accept this certificate as that of node {me}"),
            Self::Address => format!("another node answers at the address of node {to}: the address is wrong"),
            Self::NoMember => format!("for node {to} this node {me} is no member of the cluster now: {NO_MEMBER}"),
            Self::Directory => format!(
                "node {to} knows node {me} with another data directory: start node {me} with that one; if it is lost, so are \
                 the votes that it gave, and node {me} stays stopped while the others continue with a majority"
            ),
            Self::Disk => format!("node {to} could not write to its disk"),
        }
    }
}
