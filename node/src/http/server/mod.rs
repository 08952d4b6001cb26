//! Connections: accepted, secured, read and written within their time-outs, and closed in order at a shutdown.
//!
//! Read in this order: [`listen`] (accepts, within the slots of all clients and of each), [`tls`], [`connection`] (one
//! from its first byte to its last), [`wire`] (its bytes),
//! [`service`] with [`authority`] (what every request must have, and every answer has); beside all that [`operator`], a
//! listener of its own.

mod authority;
pub(crate) mod connection;
mod disk_space;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod embedded;
pub(crate) mod listen;
pub(crate) mod operator;
pub(crate) mod service;
pub(crate) mod tls;
pub(crate) mod wire;
