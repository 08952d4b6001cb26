//! Connections: [`endpoint`] is a server's address and how it is dialled, [`tls`] the trust and handshake of `https`,
//! [`server`] the idle connections to one server.

pub(crate) mod endpoint;
pub(crate) mod server;
#[cfg(not(feature = "simulation"))]
pub(crate) mod tls;
