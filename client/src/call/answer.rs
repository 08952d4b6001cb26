//! The result of a request: an answer as it arrived, one that was read, or why there is none.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;

/// An answer that was read, with what its headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The body.
    pub value: T,
    /// The command was decided before: nothing moved now.
    pub replayed: bool,
    /// Position in the Raft log that it reflects; 0 where it did not say.
    pub applied: u64,
    /// Id of the node that gave it; 0 where it did not say.
    pub node: u64,
    /// How many requests it took, from 1 on.
    pub attempts: u32,
}

/// Why an attempt has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was sent.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// Nothing was sent: the other side did not prove to be this server. Trying again does not change that.
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

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Index of the server that was asked.
    pub server: usize,
}

impl RawAnswer {
    /// A header's value; `None` where it is absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header's value as a number; `None` where it is absent or no number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }
}
