//! The end of all faults: no new ones, some nodes recovered, the others isolated permanently.

use crate::network::{CLIENTS_HOST, host_name};
use crate::world::{Recovery, World};

impl World<'_> {
    /// Injects nothing more, and cancels what is scheduled except restarts.
    pub fn stop_faults(&mut self) {
        self.triggers.clear();
        self.scheduled.retain(|(_, recovery)| matches!(recovery, Recovery::Restart(_)));
        self.end_loss();
    }

    /// Repairs these nodes: power, disks, clocks, and the links among themselves and to the clients.
    pub fn recover(&mut self, nodes: &[u64]) {
        let names: Vec<String> = nodes.iter().map(|node| host_name(*node)).chain([CLIENTS_HOST.to_owned()]).collect();
        for (one, other) in std::mem::take(&mut self.broken_links) {
            if names.contains(&one) && names.contains(&other) {
                self.sim.release(one.as_str(), other.as_str());
                self.sim.repair(one.as_str(), other.as_str());
            } else {
                self.broken_links.insert((one, other));
            }
        }
        for node in nodes {
            self.host(*node).set_clock(0, 0);
            if self.may_stop.contains(node) {
                self.crash(*node);
            }
            self.host(*node).heal_disks();
            self.start(*node);
        }
    }

    /// Isolates a node from all others permanently.
    pub fn isolate_permanently(&mut self, node: u64) {
        if self.dice.once_in(2) {
            self.crash(node);
        }
        for other in (1..=self.plan.hosts()).filter(|other| *other != node) {
            self.partition(&host_name(node), &host_name(other), u64::from(u32::MAX));
        }
    }
}
