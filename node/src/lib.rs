//! The server of Etebar: one member of a replicated ledger.

pub mod raft;
pub mod runtime;
pub mod storage;
