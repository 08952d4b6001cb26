//! All that knows openraft (shared with storage): one member of the cluster.

pub mod answers;
pub mod link;
pub mod sketch;

pub use answers::{ClusterError, ClusterStatus, Consistency, MemberStatus, ReadError, Readiness, Role, SubmitError};
