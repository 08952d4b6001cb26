//! The test kit: real clusters of real processes on loopback, and what a scenario does to them and asks of them.
//!
//! Invariant: however a test ends (pass, panic, kill), no process of its clusters outlives it. Everything is seen
//! from outside, through sockets, files and signals: the kit names no code of the node or the client, so that a defect
//! of theirs cannot hide here too. Waits are for conditions, with deadlines.
//!
//! Read [`cluster`] first, then [`api`] (requests and callers), [`load`] and [`books`] (charges, and the proof), [`faults`]
//! (what breaks), [`operator`] (scripts, the client program, a terminal), [`machine`] (programs, ports, folders).
#![warn(missing_docs)]

pub mod api;
pub mod books;
pub mod cluster;
pub mod faults;
pub mod load;
pub mod machine;
pub mod operator;
pub mod wait;

pub use api::caller::{Caller, Seller};
pub use api::http::{Connection, Request, Response};
pub use cluster::Cluster;
pub use cluster::node::Node;
pub use cluster::plan::Plan;
pub use faults::failing_disk::DiskFault;
pub use load::Load;
pub use machine::place::Folder;
pub use wait::{eventually, until};
