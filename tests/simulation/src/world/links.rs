//! The faults of links between hosts, and how they heal.

use crate::network::{CLIENTS_HOST, PROXY_NAME, host_name};
use crate::world::{Recovery, World};

impl World<'_> {
    /// Marks a link as faulty until it heals; `false` where it is faulty already.
    fn take_link(&mut self, one: &str, other: &str, while_ms: u64, what: &str) -> bool {
        let link = if one < other { (one, other) } else { (other, one) };
        if !self.broken_links.insert((link.0.to_owned(), link.1.to_owned())) {
            return false;
        }
        self.trace(format!("{one} and {other}: {what} for {while_ms} ms"));
        self.schedule(while_ms, Recovery::HealLink(link.0.to_owned(), link.1.to_owned()));
        true
    }

    /// Partitions two hosts from each other; `false` where their link is faulty already.
    pub fn partition(&mut self, one: &str, other: &str, while_ms: u64) -> bool {
        let taken = self.take_link(one, other, while_ms, "partitioned");
        if taken {
            self.sim.partition(one, other);
        }
        taken
    }

    /// Partitions a node from the others in one direction: it receives nothing, or nothing that it sends arrives.
    pub fn partition_one_way(&mut self, node: u64, while_ms: u64) -> bool {
        let receives_nothing = self.dice.once_in(2);
        let mut done = false;
        for other in (1..=self.plan.hosts()).filter(|other| *other != node) {
            let (from, to) = if receives_nothing {
                (host_name(other), host_name(node))
            } else {
                (host_name(node), host_name(other))
            };
            if self.take_link(&from, &to, while_ms, "partitioned one way") {
                self.sim.partition_oneway(from, to);
                done = true;
            }
        }
        done
    }

    /// Holds back all messages to and from a node.
    pub fn hold_messages(&mut self, node: u64, while_ms: u64) -> bool {
        let mut done = false;
        for other in (1..=self.plan.hosts()).filter(|other| *other != node) {
            if self.take_link(&host_name(node), &host_name(other), while_ms, "held back") {
                self.sim.hold(host_name(node), host_name(other));
                done = true;
            }
        }
        done
    }

    /// Lets links break and heal at random.
    pub fn lossy_links(&mut self, while_ms: u64) -> bool {
        self.trace(format!("links break and heal for {while_ms} ms"));
        self.sim.set_fail_rate(0.01);
        self.schedule(while_ms, Recovery::EndLoss);
        true
    }

    /// Ends random loss and heals the links that it broke: by itself each would heal with a probability of one in twenty for
    /// each message, which takes seconds where few are sent.
    pub fn end_loss(&mut self) {
        self.links_healed_ms = self.recorder.now_ms();
        self.sim.set_fail_rate(0.0);
        let names: Vec<String> =
            (1..=self.plan.hosts()).map(host_name).chain([CLIENTS_HOST, PROXY_NAME].map(str::to_owned)).collect();
        for (place, one) in names.iter().enumerate() {
            for other in &names[place + 1..] {
                if !self.broken_links.contains(&(one.clone(), other.clone())) {
                    self.sim.repair(one.as_str(), other.as_str());
                }
            }
        }
    }

    /// Heals the link between two hosts.
    pub fn heal_link(&mut self, one: &str, other: &str) {
        self.links_healed_ms = self.recorder.now_ms();
        if self.broken_links.remove(&(one.to_owned(), other.to_owned())) {
            self.sim.release(one, other);
            self.sim.repair(one, other);
        }
    }
}
