//! What goes wrong between hosts, and how it is mended.

use crate::faults::Undo;
use crate::host::name;
use crate::proxy;
use crate::world::{SHOP, World};

impl World<'_> {
    fn take_link(&mut self, one: &str, other: &str, while_ms: u64, what: &str) -> bool {
        let link = if one < other { (one, other) } else { (other, one) };
        if !self.broken_links.insert((link.0.to_owned(), link.1.to_owned())) {
            return false;
        }
        self.tell(format!("{one} and {other}: {what} for {while_ms} ms"));
        self.later(while_ms, Undo::Mend(link.0.to_owned(), link.1.to_owned()));
        true
    }

    /// Cuts the link between two hosts; `false` where something is wrong with it already.
    pub fn cut(&mut self, one: &str, other: &str, while_ms: u64) -> bool {
        let taken = self.take_link(one, other, while_ms, "cut off");
        if taken {
            self.sim.partition(one, other);
        }
        taken
    }

    /// Lets a member be heard and not hear, or the other way round.
    pub fn cut_one_way(&mut self, node: u64, while_ms: u64) -> bool {
        let deaf = self.dice.once_in(2);
        let mut done = false;
        for other in (1..=self.plan.hosts()).filter(|other| *other != node) {
            let (from, to) = if deaf { (name(other), name(node)) } else { (name(node), name(other)) };
            if self.take_link(&from, &to, while_ms, "cut off one way") {
                self.sim.partition_oneway(from, to);
                done = true;
            }
        }
        done
    }

    /// Holds back what a member says and hears.
    pub fn hold(&mut self, node: u64, while_ms: u64) -> bool {
        let mut done = false;
        for other in (1..=self.plan.hosts()).filter(|other| *other != node) {
            if self.take_link(&name(node), &name(other), while_ms, "held back") {
                self.sim.hold(name(node), name(other));
                done = true;
            }
        }
        done
    }

    /// Lets links break by themselves.
    pub fn lose(&mut self, while_ms: u64) -> bool {
        self.tell(format!("links break and mend for {while_ms} ms"));
        self.sim.set_fail_rate(0.01);
        self.later(while_ms, Undo::NoLoss);
        true
    }

    /// Links break no more by themselves, and those that did are well: left alone, each would mend with a chance of one in
    /// twenty for each message, which takes seconds where little is said.
    pub fn end_loss(&mut self) {
        self.mended_ms = self.book.now_ms();
        self.sim.set_fail_rate(0.0);
        let names: Vec<String> =
            (1..=self.plan.hosts()).map(name).chain([SHOP, proxy::NAME].map(str::to_owned)).collect();
        for (place, one) in names.iter().enumerate() {
            for other in &names[place + 1..] {
                if !self.broken_links.contains(&(one.clone(), other.clone())) {
                    self.sim.repair(one.as_str(), other.as_str());
                }
            }
        }
    }

    pub fn mend(&mut self, one: &str, other: &str) {
        self.mended_ms = self.book.now_ms();
        if self.broken_links.remove(&(one.to_owned(), other.to_owned())) {
            self.sim.release(one, other);
            self.sim.repair(one, other);
        }
    }
}
