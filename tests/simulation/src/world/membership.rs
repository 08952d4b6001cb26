//! How the operator works on a running cluster: it replaces nodes, and asks the current leader for one membership change at a
//! time until the members are the target ones.

use std::time::Duration;

use ledger::RULES_NODES;

use crate::world::World;
use crate::world::host::{Instruction, Told};

/// Pause between two looks at the leader's membership, in milliseconds.
const INTERVAL_MS: u64 = 200;

impl World<'_> {
    /// Adds a node with a new number to the target members and, in most cases, removes another: preferably a lost one.
    pub fn replace_node(&mut self) -> bool {
        let Some(new) = (1..=self.plan.hosts()).find(|node| !self.known_nodes.contains(node)) else { return false };
        // Older rules have no commands about members.
        if self.recorder.now_ms() >= self.operator.until_ms || self.rules_seen < RULES_NODES {
            return false;
        }
        self.known_nodes.insert(new);
        self.operator.target.insert(new);
        let lost = self.operator.target.iter().copied().find(|node| self.lost.contains(node));
        let members = self.operator.members();
        let leaves = lost.or_else(|| {
            let place = self.dice.below(self.operator.target.len() as u64) as usize;
            self.operator.target.iter().copied().nth(place).filter(|node| members.contains(node))
        });
        self.trace(format!("node {new} is to be added to the members, and {leaves:?} to be removed"));
        if let Some(leaves) = leaves {
            self.operator.target.remove(&leaves);
        }
        true
    }

    /// Asks the current leader, or any node, for the next change.
    pub fn operate(&mut self) {
        let now_ms = self.recorder.now_ms();
        if self.plan.spares == 0 || now_ms < self.operator.next_ms {
            return;
        }
        self.operator.next_ms = now_ms + INTERVAL_MS;
        self.let_join();
        if now_ms >= self.operator.until_ms {
            return;
        }
        let Some(leader) = self.observer.leader() else { return };
        let Some(seen) = self.host(leader).cluster().map(|cluster| cluster.members_seen()) else { return };
        let changes = self.operator.next_changes(&seen, &self.lost);
        if !changes.is_empty() {
            let change = changes[self.dice.below(changes.len() as u64) as usize].clone();
            let asked = if self.dice.once_in(2) { leader } else { self.any_node() };
            self.instruct(asked, Instruction::Change(change));
        }
    }

    /// Has the nodes join that were added.
    fn let_join(&self) {
        let members = self.operator.members();
        for node in members.iter().copied().filter(|node| *node > self.plan.nodes) {
            self.host(node).tell(|| {
                let others = members.iter().copied().filter(|other| *other != node).collect();
                Told { members: others, index: self.operator.settled_index() }
            });
        }
    }

    /// The fewest nodes that contain a majority of every voter set that may have to decide, in any order.
    pub fn smallest_majority(&mut self) -> Vec<u64> {
        let sets = self.operator.voter_sets();
        let are_enough =
            |some: &[u64]| sets.iter().all(|set| some.iter().filter(|node| set.contains(node)).count() * 2 > set.len());
        let mut healthy = self.some_nodes(self.plan.hosts() as usize);
        healthy.retain(|node| !self.lost.contains(node));
        for place in (0..healthy.len()).rev() {
            let node = healthy.remove(place);
            if !are_enough(&healthy) {
                healthy.insert(place, node);
            }
        }
        healthy
    }

    /// Lets the operator work for this time.
    pub fn operate_for(&mut self, time: Duration) {
        let until_ms = self.recorder.now_ms() + time.as_millis() as u64;
        self.operator.works_until(until_ms);
    }
}
