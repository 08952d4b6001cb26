//! All that knows openraft (shared with storage): one member of the cluster.

pub mod answers;
pub mod cluster;
pub mod key_ring;
pub mod sketch;

pub use answers::{
    ClusterError, ClusterStatus, Consistency, MemberStatus, ReadError, Readiness, Role, SubmitError,
};
pub use cluster::{Cluster, Replica};
pub use key_ring::{KeyRing, KnownKey};
