//! Who this node is: the data directory's identity file and lock.
//!
//! Read in this order: [`types`] (what is fixed), [`data_dir`] (made, opened, locked), [`files`], [`error`]. Invariant: only
//! `init` and `join` make a data directory, and a process serves one only while it holds its lock; so a lost or foreign disk is
//! a refusal, never an empty ledger.

mod data_dir;
mod error;
mod files;
mod types;

pub use data_dir::{DataDir, HeldLock, Looked, UnfinishedDataDir};
pub use error::DataDirError;
pub use types::{FORMAT, GenesisSettings, Identity, Joined, MemberAddress};
