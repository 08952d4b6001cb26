//! From the log into the state: each committed entry is applied in order, once, and published to those who wait for it.
//!
//! Read in this order: [`machine`] (openraft's state machine), [`entry`] (one entry of many commands), [`replica`] (what is
//! published), [`health`], [`waits`], [`key_ring`], [`clocks`] (ledger time).

pub mod clocks;
pub mod entry;
pub mod health;
pub mod key_ring;
pub mod machine;
pub mod replica;
pub mod waits;
