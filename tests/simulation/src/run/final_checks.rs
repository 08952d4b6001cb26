//! The checks at the end of a run, against the history of one node.

use etebar_node::raft::Cluster;
use ledger::{Claims, Record};

use crate::checks::{FinalState, LedgerTimeCheck, check, wrong_list};
use crate::world::World;

/// Ledger time may be so far ahead of real time where at most one clock is wrong: clocks within 5 s of each other agree, right
/// ones differ by up to 2 s here, and a record is seen a little after it was stamped.
const CLOCK_SLACK_MS: u64 = 8_000;

impl World<'_> {
    /// Checks the ledger of one node against the recorded history; returns its digest.
    pub fn check_history(&mut self) -> String {
        let members: Vec<(u64, Cluster)> =
            self.surviving_members().into_iter().filter_map(|node| Some((node, self.host(node).cluster()?))).collect();
        let Some((_, first)) = members.iter().max_by_key(|(_, member)| member.applied()) else { return String::new() };
        let count = first.replica().state.records();
        let digest = first.replica().state.digest().to_string();
        if self.recorder.has_violation() {
            return digest;
        }
        let records: Result<Vec<Record>, _> =
            (1..=count).map(|number| first.record(number).map(|record| (*record).clone())).collect();
        match records {
            Ok(records) => {
                let finals: Vec<FinalState> = members.iter().map(|(node, member)| final_of(*node, member)).collect();
                let ledger_time = LedgerTimeCheck {
                    applied_ms: &self.observer.applied_ms,
                    window_ms: self.plan.key_window_ms,
                    slack_ms: (!self.plan.many_wrong_clocks).then_some(CLOCK_SLACK_MS + self.skipped_ms),
                };
                check(&self.recorder, &records, &self.observer.positions, &finals, &ledger_time);
                for (node, member) in &members {
                    let own =
                        usize::try_from(member.replica().state.records()).unwrap_or(usize::MAX).min(records.len());
                    if let Some(what) = wrong_list(member, &records[..own]) {
                        self.recorder.violation(format!("node {node} has {what} not as its records say"));
                    }
                }
            }
            Err(error) => self.recorder.violation(format!("the history is not readable at the end: {error}")),
        }
        digest
    }
}

fn final_of(node: u64, member: &Cluster) -> FinalState {
    let replica = member.replica();
    FinalState {
        node,
        claims: Claims::of(&replica.state),
        keys_held: replica.state.keys_held(),
        pending: replica.state.pending_after(0).count(),
        audited: member.last_audited().report,
    }
}
