//! The operator: has members added, promoted and removed, one change at a time, by whoever leads, until they are the wanted ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use etebar_node::raft::test_probe::MembersSeen;
use etebar_node::raft::{Cluster, MembershipChange};

use crate::host::{CHANGE, Order, addresses};
use crate::world::World;

/// Pause between two looks.
const ROUND_MS: u64 = 200;

/// See the head of this file.
#[derive(Debug)]
pub struct Operator {
    /// Who is to be a member.
    pub wanted: BTreeSet<u64>,
    /// The members' lists that were ever seen in a log, by index: of those with one index the last one.
    lists: BTreeMap<u64, MembersSeen>,
    /// The newest list that a member applied.
    settled: u64,
    /// Up to which moment changes are begun.
    until_ms: u64,
    next_ms: u64,
}

impl Operator {
    /// With the first members, as they are.
    pub fn new(nodes: u64) -> Self {
        let wanted = (1..=nodes).collect();
        Self { wanted, lists: BTreeMap::new(), settled: 0, until_ms: 0, next_ms: 0 }
    }

    /// Changes are begun up to this moment, and not so late that one could still be under way then.
    pub fn works_until(&mut self, now_ms: u64) {
        self.until_ms = now_ms.saturating_sub(2 * CHANGE.as_millis() as u64);
    }

    /// Looks at a member's list, where that is another one than before.
    pub fn look(&mut self, index: u64, cluster: &Cluster) {
        if index >= self.settled && (index > self.settled || !self.lists.contains_key(&index)) {
            let seen = cluster.members_seen();
            // One that waits to be added has none.
            if seen.all.is_empty() {
                return;
            }
            self.settled = self.settled.max(seen.applied_index);
            self.lists.insert(seen.index, seen);
        }
    }

    /// Whether the members are the wanted ones, and no change is under way.
    pub fn is_content(&self) -> bool {
        let is_wanted = |seen: &MembersSeen| seen.all == self.wanted && seen.voter_sets == [self.wanted.clone()];
        self.lists.range(self.settled..).all(|(_, seen)| is_wanted(seen))
    }

    /// Every set of which a majority may be needed, now or once a log that nobody has seen lately comes back.
    pub fn voter_sets(&self) -> Vec<BTreeSet<u64>> {
        self.lists.range(self.settled..).flat_map(|(_, seen)| seen.voter_sets.clone()).collect()
    }

    /// How often the members changed.
    pub fn changes(&self) -> usize {
        self.lists.range(..=self.settled).count().saturating_sub(1)
    }

    /// The members by the newest list that was applied.
    pub fn members(&self) -> BTreeSet<u64> {
        self.lists.get(&self.settled).map_or_else(|| self.wanted.clone(), |seen| seen.all.clone())
    }

    /// What is to be done next, one after the other; only a lost member is removed before another took its place.
    fn next_changes(&self, seen: &MembersSeen, lost: &BTreeSet<u64>) -> Vec<MembershipChange> {
        let voters = seen.voter_sets.last().cloned().unwrap_or_default();
        let mut changes = Vec::new();
        for node in self.wanted.iter().copied() {
            if !seen.all.contains(&node) {
                changes.push(MembershipChange::Add { node, addresses: addresses(node) });
            } else if !voters.contains(&node) {
                changes.push(MembershipChange::Promote { node });
            }
        }
        let are_all_there = changes.is_empty();
        let leaving = seen.all.iter().filter(|node| !self.wanted.contains(node));
        changes.extend(
            leaving
                .filter(|node| are_all_there || lost.contains(node))
                .map(|node| MembershipChange::Remove { node: *node }),
        );
        changes
    }
}

impl World<'_> {
    /// One under a new number is wanted, and mostly one of the others no more: rather a lost one.
    pub fn replace(&mut self) -> bool {
        let Some(new) = (1..=self.plan.hosts()).find(|node| !self.part.contains(node)) else { return false };
        if self.book.now_ms() >= self.operator.until_ms {
            return false;
        }
        self.part.insert(new);
        self.operator.wanted.insert(new);
        let lost = self.operator.wanted.iter().copied().find(|node| self.lost.contains(node));
        let leaves = lost.or_else(|| {
            let place = self.dice.below(self.operator.wanted.len() as u64) as usize;
            self.operator.wanted.iter().copied().nth(place).filter(|node| *node != new)
        });
        self.tell(format!("member {new} is to be added, and {leaves:?} to be removed"));
        if let Some(leaves) = leaves {
            self.operator.wanted.remove(&leaves);
        }
        true
    }

    /// Asks whoever leads for the next change.
    pub fn operate(&mut self) {
        let now_ms = self.book.now_ms();
        if self.plan.spares == 0 || now_ms < self.operator.next_ms || now_ms >= self.operator.until_ms {
            return;
        }
        self.operator.next_ms = now_ms + ROUND_MS;
        let Some(leader) = self.watch.leader() else { return };
        let Some(seen) = self.host(leader).cluster().map(|cluster| cluster.members_seen()) else { return };
        let changes = self.operator.next_changes(&seen, &self.lost);
        if !changes.is_empty() {
            let change = changes[self.dice.below(changes.len() as u64) as usize].clone();
            self.order(leader, Order::Change(change));
        }
    }

    /// The fewest members of which all who may have to decide have a majority, in any order.
    pub fn enough_members(&mut self) -> Vec<u64> {
        let sets = self.operator.voter_sets();
        let are_enough =
            |some: &[u64]| sets.iter().all(|set| some.iter().filter(|node| set.contains(node)).count() * 2 > set.len());
        let mut good = self.some_nodes(self.plan.hosts() as usize);
        good.retain(|node| !self.lost.contains(node));
        for place in (0..good.len()).rev() {
            let node = good.remove(place);
            if !are_enough(&good) {
                good.insert(place, node);
            }
        }
        good
    }

    /// How long the operator works on.
    pub fn operate_for(&mut self, time: Duration) {
        let until_ms = self.book.now_ms() + time.as_millis() as u64;
        self.operator.works_until(until_ms);
    }
}
