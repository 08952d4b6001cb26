//! The clients: sessions on a host of their own, the operations that they draw, and how they reach the nodes.

pub mod credentials;
mod http_client;
mod session;
mod workload;

pub use session::Session;
pub use workload::Workload;
