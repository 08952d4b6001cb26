//! What came of a request: an answer as it came, one that was understood, or why there is none.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;

/// An answer and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub value: T,
    /// The decision was made before; nothing moved now.
    pub replayed: bool,
    /// Position that it reflects.
    pub applied: u64,
    /// Id of the node that gave it; 0 where it did not say.
    pub node: u64,
    pub attempts: u32,
}

/// Why an attempt brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was sent.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// Nothing was sent: the other side did not prove to be this server, and will not the next time.
    #[error("not trusted: {0}")]
    Untrusted(String),
    /// Sent, perhaps in part; the connection ended before a whole answer.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Sent; no whole answer within this time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl Failure {
    /// Whether a write may have been done in spite of it.
    pub fn may_be_done(&self) -> bool {
        match self {
            Failure::Unreachable(_) | Failure::Untrusted(_) => false,
            Failure::Broken(_) | Failure::TimedOut(_) => true,
        }
    }
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Index of the server that was asked.
    pub server: usize,
}

impl RawAnswer {
    /// A header's value, where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header's value, where it is there and is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }
}
