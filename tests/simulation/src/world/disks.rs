//! Disks that fail, that are corrupted or that are wiped.

use std::sync::atomic::Ordering;

use etebar_node::storage::model::ModelDisks;
use ledger::RULES_NODES;

use crate::world::{Recovery, World};

impl World<'_> {
    /// Lets a node's disk fail permanently; the node may stop itself, and is restarted with a good disk.
    pub fn break_disk(&mut self, node: u64, what: &str, how: impl Fn(&ModelDisks)) -> bool {
        if !self.is_up(node) || self.lost.contains(&node) {
            return false;
        }
        self.trace(format!("node {node}: {what}"));
        self.may_stop.insert(node);
        let which = self.dice.below(2) as usize;
        how(self.host(node).disks()[which]);
        let while_ms = self.dice.between(500, 3_000);
        self.schedule(while_ms, Recovery::Restart(node));
        true
    }

    fn may_lose(&self, node: u64) -> bool {
        // By older rules a lost node could not be replaced, and while it is away the rules are not raised.
        self.rules_seen >= RULES_NODES
            && !self.lost.contains(&node)
            && self.lost.len() < self.plan.nodes as usize - self.plan.majority()
    }

    /// Flips a bit of what a node has on its disks.
    pub fn rot(&mut self, node: u64) -> bool {
        if !self.may_lose(node) {
            return false;
        }
        let host = self.host(node);
        let which = self.dice.below(2) as usize;
        let Some((disk, _key)) = host.disks()[which].rot(&mut self.dice) else { return false };
        self.trace(format!("node {node}: a bit flips on disk {disk}"));
        self.lost.insert(node);
        let while_ms = self.dice.between(10, 2_000);
        self.schedule(while_ms, Recovery::Restart(node));
        true
    }

    /// Replaces a node's disks by empty ones; it starts again under its old number.
    pub fn wipe_disks(&mut self, node: u64) {
        self.crash(node);
        self.trace(format!("the disks of node {node} are wiped"));
        let host = self.host(node);
        host.disks().into_iter().for_each(ModelDisks::wipe);
        host.wipes.fetch_add(1, Ordering::Relaxed);
        self.lost.insert(node);
        self.observer.wiped(node);
        self.start(node);
    }
}
