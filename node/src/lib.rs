//! The server: one member of the cluster, as a library; `main.rs` is thin.

pub mod config;
pub mod identity;
