//! The power, the process and the clock of a node.

use std::sync::atomic::Ordering;

use crate::network::host_name;
use crate::world::host::{HostState, Instruction};
use crate::world::{Recovery, World};

impl World<'_> {
    /// Whether the host runs, with a node on it or not.
    pub fn is_up(&mut self, node: u64) -> bool {
        self.sim.is_host_running(host_name(node))
    }

    /// Ends a node's process.
    pub fn stop_host(&mut self, node: u64) {
        let host = self.host(node);
        self.sim.crash(host_name(node));
        self.observer.stopped(node);
        *host.state() = HostState::default();
    }

    /// Cuts a node's power.
    pub fn crash(&mut self, node: u64) {
        if !self.is_up(node) {
            return;
        }
        self.trace(format!("node {node} loses power"));
        self.stop_host(node);
        let host = self.host(node);
        host.boots.fetch_add(1, Ordering::Relaxed);
        host.disks().into_iter().for_each(|disks| disks.cut(&mut self.dice));
        self.may_stop.remove(&node);
        host.heal_disks();
    }

    /// Starts a node that is down.
    pub fn start(&mut self, node: u64) {
        let is_corrupted = self.lost.contains(&node) && self.host(node).wipes.load(Ordering::Relaxed) == 0;
        if self.is_up(node) || (is_corrupted && self.dice.once_in(2)) {
            return;
        }
        self.trace(format!("node {node} starts"));
        self.sim.bounce(host_name(node));
    }

    /// Cuts a node's power for a while; `false` where it is down.
    pub fn crash_and_restart(&mut self, node: u64, while_ms: u64) -> bool {
        if !self.is_up(node) {
            return false;
        }
        self.crash(node);
        self.schedule(while_ms, Recovery::Start(node));
        true
    }

    /// Gives a node an instruction; `false` where it does not run.
    pub fn instruct(&mut self, node: u64, instruction: Instruction) -> bool {
        let host = self.host(node);
        let runs = host.cluster().is_some();
        if runs {
            self.trace(format!("node {node} is instructed: {instruction:?}"));
            if let Instruction::SkipTime(time) = &instruction {
                self.skipped_ms += time.as_millis() as u64;
            }
            host.instruct(instruction);
        }
        runs
    }

    /// Sets a node's wall clock, right or wrong.
    pub fn set_clock(&mut self, node: u64) -> bool {
        let most = self.plan.jump_ms;
        let to = self.dice.between(0, 2 * most).cast_signed() - most.cast_signed();
        let to = if self.dice.once_in(3) { 0 } else { to };
        let drift = if self.dice.once_in(3) { self.dice.between(0, 60).cast_signed() - 30 } else { 0 };
        self.set_clock_to(node, to, drift)
    }

    /// Sets a node's wall clock to be `to` ms ahead, and to gain `drift` ms more every tenth of a second. The wrong clock of
    /// another node is corrected first, unless the seed has many wrong ones.
    pub fn set_clock_to(&mut self, node: u64, to: i64, drift: i64) -> bool {
        if !self.plan.many_wrong_clocks {
            for host in self.hosts.iter().filter(|host| host.node != node && host.is_clock_wrong()) {
                self.trace(format!("the clock of node {} is corrected", host.node));
                host.set_clock(0, 0);
            }
        }
        self.trace(format!("the clock of node {node} is set to be off by {to} ms, and by {drift} more each 100 ms"));
        self.host(node).set_clock(to, drift);
        true
    }
}
