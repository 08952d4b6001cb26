//! The books, checked from outside: every balance recomputed from the journal's pages, without trusting any node's sums.
//!
//! Unit: minor units, signed from the sellers' side. Memory: one page, the balances, and 16 to 48 bytes an entry for
//! once-ness.

pub(crate) mod inspection;
pub(crate) mod members;
pub(crate) mod promise;
pub(crate) mod prove;
mod stream;
pub(crate) mod verify;
mod walk;
