//! Etebar over HTTP: [`api`] holds the bodies of the contract, written once for the node and for its callers.
//!
//! With the feature `program` (on by default) the client library and the verbs of the program `etebar` come too;
//! without it only the bodies are built, so that the node compiles against them and nothing else.
#![deny(clippy::unwrap_used)]

pub mod api;
#[cfg(feature = "program")]
pub mod client;
#[cfg(feature = "program")]
pub mod program;
