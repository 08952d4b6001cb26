//! Why a connection to a peer ended or was never made, for the own log and for who decides about another attempt.

use std::io;

use ledger::NodeNumber;
use rustls::{CertificateError, OtherError};

use super::trust::credentials::CertificateRefused;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
    /// The other side hung up.
    #[error("the peer hung up")]
    Closed,
    /// Nothing came in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// Bytes that mean nothing.
    #[error("the peer sent what does not decode: {0}")]
    Malformed(String),
    /// One side refused the other's certificate or hello.
    #[error(transparent)]
    Refused(Refused),
}

/// A refusal, for the own log.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// What kind it is of, by which the log is kept from filling.
    pub kind: &'static str,
    /// Whose it is, where a certificate proved it.
    pub node: Option<NodeNumber>,
    /// One line that names the remedy.
    pub reason: String,
}

impl LinkError {
    /// A refusal of a node that proved its number, or of somebody who did not.
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
            // TLS calls an end without a goodbye so; a frame that was cut is noticed by its length.
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
