//! The operator: has members added, promoted and removed, one membership change at a time, until they are the target ones.

use std::collections::{BTreeMap, BTreeSet};

use etebar_node::raft::test_probe::MembersSeen;
use etebar_node::raft::{Cluster, MembershipChange};

use crate::network::ledger_addresses;
use crate::world::host::MEMBERSHIP_CHANGE;

/// The operator, and the memberships that it saw.
#[derive(Debug)]
pub struct Operator {
    /// The nodes that are to be members.
    pub target: BTreeSet<u64>,
    /// Every membership that was seen in a log, by its index: of several with one index the last one.
    lists: BTreeMap<u64, MembersSeen>,
    /// The index of the newest membership that a node applied.
    settled: u64,
    /// Until when changes are started, in milliseconds.
    pub until_ms: u64,
    /// When the operator looks again, in milliseconds.
    pub next_ms: u64,
}

impl Operator {
    /// An operator whose target is the first members.
    pub fn new(nodes: u64) -> Self {
        let target = (1..=nodes).collect();
        Self { target, lists: BTreeMap::new(), settled: 0, until_ms: 0, next_ms: 0 }
    }

    /// Lets changes be started so early that none can still be in progress at this time.
    pub fn works_until(&mut self, now_ms: u64) {
        self.until_ms = now_ms.saturating_sub(2 * MEMBERSHIP_CHANGE.as_millis() as u64);
    }

    /// Takes note of a node's membership, where it is not known yet.
    pub fn observe(&mut self, index: u64, cluster: &Cluster) {
        if index >= self.settled && (index > self.settled || !self.lists.contains_key(&index)) {
            let seen = cluster.members_seen();
            // A node that waits to be added has none.
            if seen.all.is_empty() {
                return;
            }
            self.settled = self.settled.max(seen.applied_index);
            self.lists.insert(seen.index, seen);
        }
    }

    /// Whether the members are the target ones, and no change is in progress.
    pub fn is_settled(&self) -> bool {
        let is_target = |seen: &MembersSeen| seen.all == self.target && seen.voter_sets == [self.target.clone()];
        self.lists.range(self.settled..).all(|(_, seen)| is_target(seen))
    }

    /// Every set of which a majority may be needed, now or once a node with an older log is back.
    pub fn voter_sets(&self) -> Vec<BTreeSet<u64>> {
        self.lists.range(self.settled..).flat_map(|(_, seen)| seen.voter_sets.clone()).collect()
    }

    /// How many membership changes were applied.
    pub fn changes(&self) -> usize {
        self.lists.range(..=self.settled).count().saturating_sub(1)
    }

    /// The members by the newest membership that was applied.
    pub fn members(&self) -> BTreeSet<u64> {
        self.lists.get(&self.settled).map_or_else(|| self.target.clone(), |seen| seen.all.clone())
    }

    /// The index of the newest membership that was applied; 0 where only the first ones were members.
    pub fn settled_index(&self) -> u64 {
        self.settled
    }

    /// The changes that may come next; only a lost member is removed before another took its place.
    pub fn next_changes(&self, seen: &MembersSeen, lost: &BTreeSet<u64>) -> Vec<MembershipChange> {
        let voters = seen.voter_sets.last().cloned().unwrap_or_default();
        let mut changes = Vec::new();
        let mut is_first = true;
        for node in self.target.iter().copied() {
            if !seen.all.contains(&node) {
                // Numbers are given in order: the hosts are added in the order of theirs.
                if is_first {
                    changes.push(MembershipChange::Add { addresses: ledger_addresses(node) });
                }
                is_first = false;
            } else if !voters.contains(&node) {
                changes.push(MembershipChange::Promote { node });
            }
        }
        let are_all_there = changes.is_empty() && is_first;
        let leaving = seen.all.iter().filter(|node| !self.target.contains(node));
        changes.extend(
            leaving
                .filter(|node| are_all_there || lost.contains(node))
                .map(|node| MembershipChange::Remove { node: *node }),
        );
        changes
    }
}
