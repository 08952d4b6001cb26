//! The books, checked from outside: every balance is recomputed from the journal, without trusting any node's sums.
//!
//! Unit: minor units, signed from the sellers' side. Memory: one page, the balances, and 16 to 48 bytes an entry to see
//! that nothing happened twice.

pub(crate) mod inspection;
pub(crate) mod nodes;
pub(crate) mod promise;
pub(crate) mod prove;
mod stream;
pub(crate) mod verify;
mod walk;
