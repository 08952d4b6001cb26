//! Etebar over HTTP: [`api`] holds the bodies of the contract, written once for the node and for its callers.
//!
//! With the feature `client` the client library comes too, with `program` (on by default) the verbs of the program `etebar`;
//! without them only the bodies are built, so that the node compiles against them and nothing else.
#![deny(clippy::unwrap_used)]

pub mod api;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "program")]
pub mod program;
