//! The phases of a run: safety under any faults, liveness of a majority, and the convergence of all nodes that are not lost.

use std::time::Duration;

use etebar_node::raft::Cluster;
use ledger::{NodeMembership, RULES_VERSION};

use crate::faults::FaultSchedule;
use crate::run::operations::charges_since;
use crate::world::World;

/// Within this time after a majority was repaired, charges succeed again.
pub const LIVENESS: Duration = Duration::from_secs(10);
/// As many charges must succeed.
const CHARGES: usize = 5;
/// Longest wait for all nodes to converge after the last fault.
const CONVERGENCE: Duration = Duration::from_secs(30);
/// Longest wait for the audit of each node to come to its newest record, from the first one on.
const AUDIT: Duration = Duration::from_secs(10);

impl World<'_> {
    /// Where all clocks were late so far they are corrected, and all nodes start again: ledger time must not catch up at
    /// once, whether machines were rebooted or processes alone were restarted.
    pub fn correct_late_clocks(&mut self) {
        if self.plan.late_ms == 0 {
            return;
        }
        let nodes: Vec<u64> = (1..=self.plan.hosts()).collect();
        self.trace(format!("all clocks, which were {} ms late, are corrected", self.plan.late_ms));
        for node in &nodes {
            self.host(*node).set_clock(0, 0);
        }
        let (run_ms, down_ms) = (self.dice.between(1_500, 2_500), self.dice.between(50, 500));
        let is_reboot = self.dice.once_in(2);
        self.step_for(Duration::from_millis(run_ms));
        for node in nodes {
            if is_reboot {
                self.crash(node);
            } else if self.is_up(node) {
                self.trace(format!("node {node} is killed"));
                self.stop_host(node);
            }
        }
        self.step_for(Duration::from_millis(down_ms));
        (1..=self.plan.hosts()).for_each(|node| self.start(node));
        self.step_for(Duration::from_millis(1_500));
    }

    /// Any faults of the kinds that the seed drew.
    pub fn safety(&mut self, length: Duration) {
        let until_ms = self.recorder.now_ms() + length.as_millis() as u64;
        self.operate_for(length);
        let mut schedule = FaultSchedule::new(&self.plan.kinds);
        self.arm(self.plan.kinds.iter().copied().filter(|kind| kind.is_triggered()).collect());
        while self.recorder.now_ms() < until_ms && !self.recorder.has_violation() {
            let pause = Duration::from_millis(self.dice.between(20, self.plan.pause_ms));
            self.step_for(pause);
            if let Some(kind) = schedule.draw(&mut self.dice)
                && self.inject(kind)
            {
                *self.injected.entry(kind).or_insert(0) += 1;
            }
        }
    }

    /// A majority is repaired, the rest stays faulty. Returns how long it took until charges succeeded, in milliseconds.
    pub fn liveness(&mut self, length: Duration) -> u64 {
        self.stop_faults();
        let healthy = self.smallest_majority();
        let rest: Vec<u64> = (1..=self.plan.hosts()).filter(|node| !healthy.contains(node)).collect();
        for node in rest {
            self.isolate_permanently(node);
        }
        self.recover(&healthy);
        self.trace(format!("nodes {healthy:?} are repaired, the others stay faulty"));
        self.workload.state().wants_seller = true;
        self.workload.state().healthy_nodes.clone_from(&healthy);
        let (from_ms, first) = (self.recorder.now_ms(), self.recorder.history().operations.len());
        let succeeded = self.wait(LIVENESS, |world| charges_since(&world.recorder.history(), first) >= CHARGES);
        let took_ms = self.recorder.now_ms() - from_ms;
        if !succeeded && !self.recorder.has_violation() {
            for (node, member) in healthy.iter().filter_map(|node| Some((node, self.host(*node).cluster()?))) {
                self.trace(format!("node {node}: {:?} {:?}", member.probe(), member.members_seen()));
            }
            self.recorder.violation(format!(
                "no {CHARGES} charges succeeded within {LIVENESS:?} with nodes {healthy:?} repaired"
            ));
        }
        self.step_for(length.saturating_sub(Duration::from_millis(took_ms)));
        took_ms
    }

    /// All that are not lost lose power at once, start again, and must converge to one position and one digest.
    pub fn converge(&mut self) {
        if self.recorder.has_violation() {
            return;
        }
        self.workload.state().is_stopped = true;
        let hosts: Vec<u64> = (1..=self.plan.hosts()).filter(|node| !self.lost.contains(node)).collect();
        for node in &hosts {
            self.crash(*node);
            self.host(*node).upgrade();
        }
        self.recover(&hosts);
        self.raise_rules();
        let converged = self.wait(CONVERGENCE, |world| {
            let acknowledged = world.recorder.history().acknowledged;
            let members = world.surviving_members();
            let probes: Option<Vec<_>> =
                members.iter().map(|node| world.host(*node).cluster().map(|cluster| cluster.probe())).collect();
            let Some(probes) = probes else { return false };
            let first = &probes[0];
            probes.iter().all(|one| {
                one.recovered
                    && one.records >= acknowledged
                    && (one.applied, one.digest) == (first.applied, first.digest)
            })
        });
        if !converged && !self.recorder.has_violation() {
            self.recorder
                .violation(format!("nodes {:?} did not converge within {CONVERGENCE:?}", self.surviving_members()));
        }
        self.stop_removed();
        self.audit_all();
    }

    /// A node that was removed stops by itself, unless its disks were lost, or it does not have the record of that, or none of
    /// the nodes that it knows is left: then it has nothing to learn it from.
    fn stop_removed(&mut self) {
        let Some(first) = self.surviving_members().first().and_then(|node| self.host(*node).cluster()) else { return };
        // A removal may wait, decided, until the others can do without the node.
        let all = self.operator.members();
        let removed: Vec<u64> = {
            let replica = first.replica();
            let removed = replica.state.nodes().filter(|(_, node)| node.membership == NodeMembership::Removed);
            removed.map(|(number, _)| number).filter(|node| !self.lost.contains(node) && !all.contains(node)).collect()
        };
        drop(first);
        let members = self.surviving_members();
        let can_know = |node: u64, cluster: &Cluster| {
            let seen = cluster.members_seen();
            let replica = cluster.replica();
            let is_told = replica.state.node(node).is_some_and(|node| node.membership == NodeMembership::Removed);
            is_told && seen.voter_sets.iter().flatten().any(|voter| members.contains(voter))
        };
        let runs = |world: &Self, node: u64| world.host(node).cluster().is_some_and(|cluster| can_know(node, &cluster));
        let stopped = self.wait(CONVERGENCE, |world| !removed.iter().any(|node| runs(world, *node)));
        if !stopped && !self.recorder.has_violation() {
            let seen = |node: &u64| Some((*node, self.host(*node).cluster()?.members_seen()));
            let seen: Vec<_> = removed.iter().filter_map(seen).collect();
            self.recorder.violation(format!("nodes {removed:?} were removed, and run as {seen:?} among {members:?}"));
        }
    }

    /// The audit of each node must cover its whole history.
    fn audit_all(&mut self) {
        let behind = |world: &Self| -> Vec<(u64, u64, u64)> {
            let probe = |node: u64| world.host(node).cluster().map(|cluster| (node, cluster.probe()));
            let probes = world.surviving_members().into_iter().filter_map(probe);
            let figures = probes.map(|(node, probe)| (node, probe.audited, probe.records));
            figures.filter(|(_, audited, records)| audited < records).collect()
        };
        if !self.wait(AUDIT, |world| behind(world).is_empty()) && !self.recorder.has_violation() {
            self.recorder.violation(format!("audits are behind after {AUDIT:?}: node, records, of {:?}", behind(self)));
        }
    }

    /// Where every member runs the newest build and none is lost, the rules are raised at all.
    fn raise_rules(&mut self) {
        let members = self.surviving_members();
        if self.recorder.has_violation() || members.len() < self.operator.members().len() {
            return;
        }
        let raised =
            self.wait(CONVERGENCE, |world| members.iter().all(|node| world.observer.rules(*node) == RULES_VERSION));
        if !raised && !self.recorder.has_violation() {
            self.recorder.violation(format!(
                "every node knows rules {RULES_VERSION}, and they are not raised within {CONVERGENCE:?}"
            ));
        }
    }

    /// The members of the cluster that are not lost.
    pub fn surviving_members(&self) -> Vec<u64> {
        self.operator.members().into_iter().filter(|node| !self.lost.contains(node)).collect()
    }
}
