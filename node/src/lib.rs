//! The server of Etebar: one member of a replicated ledger.

pub mod config;
pub mod identity;
pub mod raft;
pub mod runtime;
pub mod storage;
