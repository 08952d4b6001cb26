//! The settings of a node, and what openraft makes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger::{Genesis, TableSeed};
use openraft::{Config, SnapshotPolicy};

use crate::raft::answers::ClusterError;
use crate::raft::peers::link::hello::PeerIdentity;
use crate::raft::peers::link::trust::transport::PeerSecurity;
use crate::storage::types::NodeAddresses;

/// What a node needs to know to run.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// Who this node is.
    pub identity: PeerIdentity,
    /// The founding members, the same list on each; on a node that joined, the others that were members then. A node that is
    /// not among them waits for a leader.
    pub members: BTreeMap<u64, NodeAddresses>,
    /// Of a node that joined: the index of the log entry that made that list.
    pub members_index: Option<u64>,
    /// The first command of the log, the same on each node.
    pub genesis: Genesis,
    /// Where to listen for peers, `host:port`.
    pub peer_listen: String,
    /// This node's certificate, and the authorities of the others'.
    pub peer_security: PeerSecurity,
    /// Time between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// Shortest time without a leader before an election.
    pub election_min: Duration,
    /// Longest time without a leader before an election.
    pub election_max: Duration,
    /// Most bytes that the log folder takes.
    pub log_bytes: u64,
    /// Most commands that wait to be proposed.
    pub waiting_max: usize,
    /// What this node's look-up tables are hashed under: drawn at each start, known to no caller, without effect on any
    /// decision.
    pub table_seed: TableSeed,
    /// The operator says that this node's clock is right: see [`crate::raft::ledger_time::clock_guard`].
    pub trust_clock: bool,
}

impl ClusterSettings {
    /// Openraft's configuration.
    ///
    /// # Errors
    /// Where the times do not fit each other.
    pub fn raft_config(&self) -> Result<Config, ClusterError> {
        let config = Config {
            cluster_name: self.identity.cluster.to_string(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            // The default of 200 ms is shorter than a sync of a large checkpoint takes.
            install_snapshot_timeout: 10_000,
            // An entry may be megabytes; the log bounds a read in bytes, this in entries.
            max_payload_entries: 64,
            max_append_entries: Some(64),
            // Checkpoints and purges go by bytes (see checkpoint), not by entries.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            // A leader that no majority answers sends nothing for this long after its lease, then tries for as long, and so on:
            // a node that receives its heartbeats votes for no other, so a leader that reaches too few could prevent an
            // election permanently. Long enough for the last lease to end and for some rounds of votes.
            quorum_loss_probe_interval: Some(millis(self.election_max * 4)),
            enable_pre_vote: Some(true),
            allow_log_reversion: Some(false),
            // With the default, a leader that crashed before its own disk had an entry comes back in its own term and
            // gives the same log id to another one: two replicas then apply different entries.
            enable_leader_restore: Some(false),
            backoff: "20ms 40ms 80ms ...400ms".to_owned(),
            ..Config::default()
        };
        config.validate().map_err(|error| ClusterError::Setting(error.to_string()))
    }

    /// Longest wait for the answer to one append: an answer needs the peer's sync, and a peer that takes longer than
    /// an election counts as unreachable.
    pub fn answer_within(&self) -> Duration {
        self.election_max * 2
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{ApiKeyHash, Name, RULES_VERSION};
    use uuid::Uuid;

    fn settings() -> ClusterSettings {
        let cluster = Uuid::from_u128(7);
        ClusterSettings {
            identity: PeerIdentity::new(cluster, 1, Uuid::from_u128(1)),
            members: BTreeMap::new(),
            members_index: None,
            genesis: Genesis {
                ledger: cluster,
                epoch: 1,
                currency: Name::new("IRT").unwrap(),
                decimals: 0,
                key_window_ms: 86_400_000,
                keys_max: 1_000,
                rules: RULES_VERSION,
                admin_key: ApiKeyHash([0; 32]),
            },
            peer_listen: "127.0.0.1:0".into(),
            peer_security: crate::raft::peers::link::tests::security(cluster, 1),
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(400),
            log_bytes: 268_435_456,
            waiting_max: 16_384,
            table_seed: TableSeed([1, 2]),
            trust_clock: false,
        }
    }

    #[test]
    fn a_restarted_leader_does_not_come_back_without_an_election() {
        assert_eq!(settings().raft_config().unwrap().enable_leader_restore, Some(false));
    }

    #[test]
    fn pre_votes_are_on_and_logs_never_revert() {
        let config = settings().raft_config().unwrap();
        assert_eq!((config.enable_pre_vote, config.allow_log_reversion), (Some(true), Some(false)));
    }

    #[test]
    fn a_leader_without_a_majority_pauses_long_enough_for_another() {
        let config = settings().raft_config().unwrap();
        assert!(config.quorum_loss_probe_interval.is_some_and(|pause| pause >= 4 * config.election_timeout_max));
    }

    #[test]
    fn only_our_own_code_purges() {
        let config = settings().raft_config().unwrap();
        assert_eq!(config.snapshot_policy, SnapshotPolicy::Never);
        assert_eq!(config.max_in_snapshot_log_to_keep, u64::MAX);
        assert!(config.install_snapshot_timeout >= 1_000);
    }

    #[test]
    fn election_times_that_do_not_fit_are_refused() {
        let settings = ClusterSettings { election_min: Duration::from_millis(500), ..settings() };
        assert!(matches!(settings.raft_config(), Err(ClusterError::Setting(_))));
    }
}
