//! The simulated world: hosts with nodes on them, clients, a proxy, links, disks, clocks and time, and what can be done to them.

mod disks;
pub mod host;
mod links;
mod membership;
pub mod operator;
mod power;
mod proxy;
mod recovery;
mod state;
mod step;

pub use state::{Recovery, STEPS, World};
