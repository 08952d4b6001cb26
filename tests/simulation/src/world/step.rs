//! The passing of simulated time, a millisecond at a time: after each, the nodes are observed, what is due is recovered, and
//! the operator works.

use std::sync::atomic::Ordering;
use std::time::Duration;

use etebar_node::raft::Cluster;

use crate::network::host_name;
use crate::plan::FaultKind;
use crate::world::{Recovery, STEPS, World};

/// Shortest pause between two triggered crashes, in milliseconds.
const TRIGGER_PAUSE_MS: u64 = 700;

impl World<'_> {
    /// Lets time pass, as long as there is no violation.
    pub fn step_for(&mut self, time: Duration) {
        let until_ms = self.recorder.now_ms() + time.as_millis() as u64;
        while self.recorder.now_ms() < until_ms && !self.recorder.has_violation() {
            self.step();
        }
    }

    /// Waits until something is true; `false` where it does not come true in time, or there is a violation.
    pub fn wait(&mut self, longest: Duration, mut is_true: impl FnMut(&mut Self) -> bool) -> bool {
        let until_ms = self.recorder.now_ms() + longest.as_millis() as u64;
        while self.recorder.now_ms() < until_ms && !self.recorder.has_violation() {
            self.step_for(Duration::from_millis(10));
            if is_true(self) {
                return true;
            }
        }
        false
    }

    /// One millisecond.
    pub fn step(&mut self) {
        let stepped = self.sim.step();
        let now_ms = self.sim.elapsed().as_millis() as u64;
        self.recorder.set_now_ms(now_ms);
        STEPS.store(now_ms, Ordering::Relaxed);
        if let Err(error) = stepped {
            return self.recorder.violation(format!("a host failed: {error}"));
        }
        if now_ms.is_multiple_of(100) {
            for host in &self.hosts {
                host.clock_off_ms.fetch_add(host.clock_drift_ms.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        for place in 0..self.hosts.len() {
            self.observe(place as u64 + 1);
        }
        self.run_recoveries();
        self.operate();
    }

    fn observe(&mut self, node: u64) {
        let host = &self.hosts[node as usize - 1];
        let Some(cluster) = host.cluster() else { return self.check_exit(node) };
        let transition = self.observer.observe(node, &cluster);
        self.operator.observe(self.observer.membership_index(node), &cluster);
        self.check_rules(node, &cluster);
        drop(cluster);
        self.check_exit(node);
        if self.triggers.is_empty() || self.recorder.now_ms() < self.next_trigger_ms {
            return;
        }
        let is_now = |kind: &FaultKind| {
            (*kind == FaultKind::CrashAfterVote && transition.voted)
                || (*kind == FaultKind::CrashAfterTruncation && transition.truncated)
                || (*kind == FaultKind::CrashAfterWrite && transition.leads_unflushed)
                || (*kind == FaultKind::CutTransfer && transition.pages_received > 0)
        };
        let Some(kind) = self.triggers.iter().copied().find(is_now) else { return };
        let is_rare = kind != FaultKind::CrashAfterWrite;
        if self.dice.once_in(if is_rare { 2 } else { 30 }) {
            self.next_trigger_ms = self.recorder.now_ms() + TRIGGER_PAUSE_MS;
            let while_ms = self.dice.between(1, 300);
            if kind == FaultKind::CutTransfer {
                self.cut_transfer(node, while_ms);
            } else {
                self.crash_and_restart(node, while_ms);
            }
            *self.injected.entry(kind).or_default() += 1;
        }
    }

    /// Cuts the transfer that a node receives: on its side, on the leader's, or between the two.
    fn cut_transfer(&mut self, node: u64, while_ms: u64) {
        let sender = self.observer.leader().filter(|leader| *leader != node);
        let cut = match (self.dice.below(3), sender) {
            (0, Some(sender)) => self.crash_and_restart(sender, while_ms),
            (1, Some(sender)) => self.partition(&host_name(node), &host_name(sender), while_ms),
            _ => self.crash_and_restart(node, while_ms),
        };
        if cut {
            self.trace(format!("that cut the transfer to node {node}"));
        }
    }

    /// Rules are raised once every member's build knows them. Looked at where they are first seen: members that are added
    /// later run the newest build.
    fn check_rules(&mut self, node: u64, cluster: &Cluster) {
        let rules = self.observer.rules(node);
        if rules <= self.rules_seen {
            return;
        }
        self.rules_seen = rules;
        self.trace(format!("the ledger goes by rules {rules}"));
        for member in cluster.members_seen().all {
            let known = self.host(member).known_rules();
            if known < rules {
                self.recorder
                    .violation(format!("rules {rules} are used, and the build of node {member} knows {known}"));
            }
        }
    }

    /// A node that stopped by itself had a reason that is allowed, or this is a violation.
    fn check_exit(&mut self, node: u64) {
        let Some(why) = self.hosts[node as usize - 1].state().ended.take() else { return };
        self.trace(format!("node {node}: {why}"));
        let is_asked = why.ends_with("as instructed");
        let is_removed = !self.operator.target.contains(&node)
            && (why.contains("was removed from the cluster") || why.contains("say that it is no member"));
        if self.lost.contains(&node) || is_removed {
            self.stop_host(node);
        } else if is_asked || self.may_stop.contains(&node) {
            let while_ms = self.dice.between(20, 1_000);
            self.schedule(while_ms, Recovery::Restart(node));
        } else {
            self.recorder.violation(format!("node {node}: {why}"));
        }
    }

    fn run_recoveries(&mut self) {
        let now_ms = self.recorder.now_ms();
        let (due, later) = std::mem::take(&mut self.scheduled).into_iter().partition(|(due, _)| *due <= now_ms);
        self.scheduled = later;
        for (_, recovery) in due {
            self.recover_from(recovery);
        }
    }

    fn recover_from(&mut self, recovery: Recovery) {
        match recovery {
            Recovery::HealLink(one, other) => self.heal_link(&one, &other),
            Recovery::Start(node) => self.start(node),
            Recovery::Restart(node) => {
                self.crash(node);
                self.start(node);
            }
            Recovery::HealDisks(node) => {
                if !self.may_stop.contains(&node) {
                    self.host(node).heal_disks();
                }
            }
            Recovery::EndLoss => self.end_loss(),
        }
    }
}
