//! All that knows openraft (shared with storage): one node of the cluster.
//!
//! Read in this order: [`submit`] (from the server into the log), [`apply`] (from the log into the state), [`ledger_time`]
//! (what stamps it), [`reads`] (which position a read waits for), [`catch_up`] (how a replica that is behind gets there),
//! [`audit`] (the books, added up again as long as the node runs), [`peers`] (the other nodes), [`membership`] (who they are),
//! [`lifecycle`] (start, stop, and background tasks).

pub mod answers;
mod apply;
pub(crate) mod audit;
pub(crate) mod catch_up;
mod ledger_time;
mod lifecycle;
mod membership;
mod peers;
mod reads;
mod submit;
#[cfg(feature = "simulation")]
pub mod test_probe;

pub use answers::{
    ClockHealth, ClusterError, ClusterStatus, Consistency, LeadError, MemberStage, MemberStatus, ReadError, Readiness,
    SubmitError, VotingRole,
};
pub use apply::api_keys::{ApiKeys, KnownKey};
pub use apply::replica::Replica;
pub use audit::{AuditBehind, AuditProgress, Audited};
pub use catch_up::snapshot::receive::Received;
pub use lifecycle::inspect::{Inspection, InspectionError, inspect};
pub use lifecycle::new_epoch;
pub use lifecycle::observation::{Backlog, Books, Faults, Observation, RaftInstruments};
pub use lifecycle::settings::ClusterSettings;
pub use membership::decide::{ChangeError, MembershipChange};
pub use peers::link;
pub use peers::link::hello::PeerIdentity;
pub use peers::link::hello::join::{JoinError, ask_seeds};
pub use peers::link::hello::version::{Build, BuildName, LINK_VERSIONS};
pub use peers::link::message::join::{IntroducedMember, Introduction};
pub use peers::link::trust::credentials::CredentialsError;
pub use peers::link::trust::transport::PeerSecurity;
pub use reads::backup::{BackupBroken, BackupEnd, BackupRefused, BackupStream};
pub use submit::cluster::Cluster;

pub use crate::storage::types::{Decided, Decisions};
