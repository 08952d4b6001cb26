//! The server: one node of the cluster, as a library; `main.rs` is thin.
//!
//! Read in this order: [`raft`] (cluster, proposer, state machine, peer link), [`storage`] (log, history, disk),
//! [`http`] (the API), [`metrics`] (what operators see), [`tls`] (certificates and keys), [`pki`] (how they are made),
//! [`check`] (whether a data directory can be served). What is true about money is not here but
//! in the crate `ledger`.
// A program: its front pages lead those who read its code, to private modules too.
#![allow(rustdoc::private_intra_doc_links)]
#![deny(clippy::unwrap_used)]

pub mod check;
pub mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[path = "../../tests/fuzz/doors/mod.rs"]
pub mod fuzzing;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod pki;
pub mod raft;
pub mod runtime;
pub mod storage;
pub mod tls;
