//! Connections: accepted, secured, read and written within their time-outs, and closed in order at a shutdown.
//!
//! Read in this order: [`listen`] (accepts, within the slots of all clients and of each), [`tls`], [`connection`] (one
//! from its first byte to its last), [`wire`] (its bytes), [`service`] (what every answer has).

pub mod connection;
mod disk_space;
#[cfg(any(test, feature = "fuzzing"))]
pub mod embedded;
pub mod listen;
pub mod service;
pub mod tls;
pub mod wire;
