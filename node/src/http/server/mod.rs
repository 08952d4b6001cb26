//! Connections: accepted, secured, read and written within their times, and ended in order at a shutdown.
//!
//! Read in this order: [`listen`] (accepts), [`addresses`] (how many a client holds), [`tls`], [`connection`] (one from its
//! first byte to its last), [`wire`] (its bytes and times), [`front`] (what every answer has), [`shutdown`].

pub mod addresses;
pub mod connection;
pub mod disk_room;
pub mod front;
#[cfg(any(test, feature = "fuzzing"))]
pub mod gate;
pub mod listen;
pub mod shutdown;
pub mod tls;
pub mod wire;
