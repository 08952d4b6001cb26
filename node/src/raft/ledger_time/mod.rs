//! Ledger time: what the leader stamps entries with, so that no wall clock can make it run.
//!
//! Read in this order: [`verdict`] (how the clocks received compare with this node's), [`mod@line`] (how ledger time
//! advances), [`carried`] (how it is carried over a stop), [`clock_guard`] (where it starts, what it follows),
//! [`notices`] (what is logged).

pub(crate) mod carried;
pub(crate) mod clock_guard;
pub(crate) mod line;
pub(crate) mod notices;
mod start;
pub(crate) mod verdict;

pub(crate) use clock_guard::ClockGuard;
pub(crate) use line::LedgerTime;
