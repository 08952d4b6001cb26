//! Ledger time: what the leader stamps entries with, so that no wall clock can make it run.
//!
//! Read in this order: [`verdict`] (how the clocks received compare with this node's), [`mod@line`] (how ledger time goes
//! on), [`carried`] (how it is carried over a stop), [`clock_guard`] (where it starts, what it follows), [`notices`] (what is
//! logged).

pub mod carried;
pub mod clock_guard;
pub mod line;
pub mod notices;
mod start;
pub mod verdict;

pub use clock_guard::ClockGuard;
pub use line::LedgerTime;
