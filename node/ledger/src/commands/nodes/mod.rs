//! The cluster's nodes: what an admin decides of them, and which data directory each belongs to.
//!
//! The records say who is to be a member; Raft's list of members follows them, one change at a time, by whoever leads. So a
//! change that was decided is finished by the next leader, and a number is given once, whatever happened to its node.

mod add;
mod promote;
mod register;
mod remove;

pub use self::add::{AddNode, NodeAdded};
pub use self::promote::{NodePromoted, PromoteNode};
pub use self::register::{NodeRegistered, RegisterNode};
pub use self::remove::{NodeRemoved, RemoveNode};
