//! All that knows openraft (shared with storage): one member of the cluster.
//!
//! Read in this order: [`cluster`] (what the rest of the node sees), [`submit`] and [`proposer`] (from commands to one
//! log entry), [`clocks`] (what the entry is stamped with), [`machine`] and [`apply`] (from entries to decisions), [`read`]
//! and [`waits`] (positions for reads), [`checkpoint`] and
//! [`snapshot`] (what is durable of the history, and how it gets to a member that lacks it), [`link`] and [`network`]
//! (how members talk), [`change`] (who they are), [`duties`] (what a member does by itself), [`life`] (how it starts and stops).

pub mod answers;
mod apply;
pub mod change;
mod checkpoint;
mod clocks;
pub mod cluster;
mod duties;
pub mod key_ring;
mod life;
pub mod link;
mod machine;
mod member;
mod neighbours;
mod network;
mod proposer;
mod read;
mod replica;
pub mod settings;
pub(crate) mod snapshot;
#[cfg(feature = "simulation")]
pub mod standing;
mod submit;
mod waits;

pub use answers::{
    ClockHealth, ClusterError, ClusterStatus, Consistency, MemberStatus, ReadError, Readiness, Role, SubmitError,
};
pub use change::{Change, ChangeError};
pub use cluster::Cluster;
pub use key_ring::{KeyRing, KnownKey};
pub use life::MemberDisks;
pub use link::hello::Identity;
pub use link::trust::credentials::CredentialsError;
pub use link::trust::transport::PeerSecurity;
pub use replica::Replica;
pub use settings::ClusterSettings;

pub use crate::storage::types::{Decided, Decisions};
