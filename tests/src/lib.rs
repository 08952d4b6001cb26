//! The test kit: real clusters of real processes on loopback, and what a scenario does to them and asks of them.
//!
//! Invariant: whatever becomes of a test (pass, panic, kill), no process of its clusters outlives it. Everything is seen
//! from outside, through sockets, files and signals: the kit names no code of the node or the client, so that a mistake
//! of theirs cannot hide here too. Waits are for conditions, with deadlines.

pub mod books;
pub mod certificates;
pub mod clocks;
pub mod cluster;
pub mod disk;
pub mod disk_faults;
pub mod http;
pub mod lies;
pub mod load;
pub mod machine;
pub mod network;
pub mod pki;
pub mod place;
pub mod programs;
pub mod scripts;
pub mod shop;
pub mod spawner;
pub mod tmux;
pub mod turns;
pub mod wait;

pub mod member;

pub use cluster::{Cluster, Plan};
pub use http::{Request, Response};
pub use load::Load;
pub use shop::{Caller, Seller};
pub use wait::{eventually, until};
