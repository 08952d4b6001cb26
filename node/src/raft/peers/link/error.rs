//! Why a connection to a peer ended or failed, for the log and for deciding on another attempt.

use std::io;

use ledger::NodeNumber;
use rustls::{CertificateError, OtherError};

use super::hello::version::LinkSpan;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloRefusal {
    /// It speaks no version of the link that the refusing node does; these are that one's.
    Version(LinkSpan),
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
    /// It calls for something that the refusing build does not know.
    Purpose,
    /// It is of this cluster, and serves another ledger.
    Ledger,
    /// Of a kind that only newer builds know.
    Other(u8),
}

/// What an operator has to know where a node is not a member.
pub(super) const NO_MEMBER: &str =
    "`etebar members add` adds one under a new number; one that was removed cannot come back under its number";

impl HelloRefusal {
    /// Its kind, for throttling the log.
    fn kind(self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::Certificate => "another number",
            Self::Address => "address",
            Self::NoMember => "no member",
            Self::Directory => "directory",
            Self::Disk => "disk",
            Self::Purpose => "purpose",
            Self::Ledger => "ledger",
            Self::Other(_) => "other",
        }
    }

    /// The refusal of a node that proved its number, if it did, for the own log.
    pub(super) fn of(self, node: impl Into<Option<NodeNumber>>, reason: String) -> LinkError {
        LinkError::refused(self.kind(), node.into(), reason)
    }

    /// What the caller logs for its operator; `me` is the caller, which speaks `span`, `to` whom it dialled.
    pub(super) fn remedy(self, me: NodeNumber, span: LinkSpan, to: NodeNumber) -> String {
        match self {
            Self::Version(theirs) => no_common_version(to, theirs, me, span),
            Self::Certificate => format!("node {to} does not accept this certificate as that of node {me}"),
            Self::Address => format!("another node answers at the address of node {to}: the address is wrong"),
            Self::NoMember => format!("for node {to} this node {me} is no member of the cluster now: {NO_MEMBER}"),
            Self::Directory => format!(
                "node {to} knows node {me} with another data directory: start node {me} with that one; if it is lost, so are \
                 the votes that it gave, and node {me} stays stopped while the others continue with a majority"
            ),
            Self::Disk => format!("node {to} could not write to its disk"),
            Self::Purpose => {
                format!("node {to} runs an older build, which does not serve this: run the newer one there too")
            }
            Self::Ledger => {
                format!("node {to} serves another ledger than node {me}, or one that was restored: make node {me} anew")
            }
            Self::Other(kind) => {
                format!("node {to} refuses node {me}, for reason {kind} of a newer build: its log says why")
            }
        }
    }
}

/// Two nodes that cannot talk, and what to do.
pub(super) fn no_common_version(
    one: NodeNumber,
    speaks: LinkSpan,
    other: NodeNumber,
    other_speaks: LinkSpan,
) -> String {
    let older = if speaks.highest < other_speaks.lowest { one } else { other };
    format!(
        "node {one} speaks version {speaks} of the peer link, node {other} version {other_speaks}: run a build on node {older} \
         that speaks a version of the other's, if need be one of those in between first"
    )
}
