//! The kinds of request that a bench sends.

use serde::{Deserialize, Serialize};

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// One charge, or a batch of them.
    Charge,
    /// A seller's balance, linearizable.
    Read,
    /// `GET /livez`.
    NoOp,
}
