//! The books, checked from outside: every balance is recomputed from the journal, without trusting any node's sums.
//!
//! Unit: minor units, signed from the sellers' side. Memory: a few pages of the journal, an account a seller and a phone, and an
//! item a credit request and a reversal; nothing for a charge. No part of it has to finish within one request.

pub(crate) mod audit;
pub(crate) mod chain;
pub(crate) mod inspection;
pub(crate) mod nodes;
mod progress;
pub(crate) mod promise;
pub(crate) mod prove;
mod stream;
pub(crate) mod verify;
mod walk;
