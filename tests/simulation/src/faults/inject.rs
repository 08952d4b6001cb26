//! The injection of a fault of each kind.

use std::time::Duration;

use etebar_node::storage::model::ModelDisks;

use crate::network::{CLIENTS_HOST, host_name};
use crate::plan::FaultKind;
use crate::world::host::Instruction;
use crate::world::{Recovery, World};

impl World<'_> {
    /// Injects a fault of this kind; `false` where that is not possible now.
    pub fn inject(&mut self, kind: FaultKind) -> bool {
        let node = self.any_node();
        let while_ms = self.dice.between(50, 2_500);
        match kind {
            FaultKind::Crash => self.crash_and_restart(node, while_ms),
            FaultKind::CrashSeveral => {
                let nodes = self.some_nodes(self.plan.majority());
                nodes.into_iter().filter(|node| self.crash_and_restart(*node, while_ms)).count() > 0
            }
            FaultKind::CrashAll => {
                let nodes = self.some_nodes(self.plan.hosts() as usize);
                let crash = |node: &u64| {
                    let while_ms = self.dice.between(50, 1_000);
                    self.crash_and_restart(*node, while_ms)
                };
                nodes.into_iter().filter(crash).count() > 0
            }
            FaultKind::Kill => self.kill(node, while_ms),
            FaultKind::Stop => self.instruct(node, Instruction::Stop),
            FaultKind::Partition => self.partition_in_two(while_ms),
            FaultKind::PartitionOneWay => self.partition_one_way(node, while_ms),
            FaultKind::HoldMessages => self.hold_messages(node, while_ms),
            FaultKind::LossyLinks => self.lossy_links(while_ms),
            FaultKind::PartitionClients => self.partition(&host_name(node), CLIENTS_HOST, while_ms),
            FaultKind::IsolateLeader => self.isolate_leader(while_ms),
            FaultKind::SlowDisk => {
                self.slow_disks(node, while_ms, |disks, ms| disks.set_health(|health| health.sync_ms = (ms / 2, ms)))
            }
            FaultKind::StallDisk => {
                self.slow_disks(node, while_ms, |disks, _| disks.set_health(|health| health.stalled = true))
            }
            FaultKind::StallLeaderDisk => self.stall_leader_disk(),
            FaultKind::FailSync => self.break_disk(node, "a sync fails", ModelDisks::fail_syncs),
            FaultKind::FullDisk => {
                self.break_disk(node, "its disk is full", |disks| disks.set_health(|health| health.full = true))
            }
            FaultKind::BitRot => self.rot(node),
            FaultKind::WipeDisk => self.wipe_while_others_lag(),
            FaultKind::ClockJump => self.set_clock(node),
            FaultKind::ClockJumpWhileDown => self.set_clock_while_down(node, while_ms),
            FaultKind::ClockJumpInBareMajority => self.set_clock_in_bare_majority(node, while_ms),
            FaultKind::TransferLeadership => {
                self.observer.leader().is_some_and(|leader| self.instruct(leader, Instruction::TransferLeadership))
            }
            FaultKind::MoveLeadership => self.move_leadership(while_ms),
            FaultKind::ReplaceNode => self.replace_node(),
            FaultKind::SkipTime => {
                let skip = Duration::from_millis(self.dice.between(100, 2_000));
                self.instruct(node, Instruction::SkipTime(skip))
            }
            FaultKind::CrashAfterVote
            | FaultKind::CrashAfterWrite
            | FaultKind::CrashAfterTruncation
            | FaultKind::CutTransfer => false,
        }
    }

    /// A killed process finds everything that it wrote at its next start, but may count no more of it as durable than a
    /// power cut leaves.
    fn kill(&mut self, node: u64, while_ms: u64) -> bool {
        if !self.is_up(node) {
            return false;
        }
        self.trace(format!("node {node} is killed"));
        self.stop_host(node);
        self.schedule(while_ms, Recovery::Start(node));
        if self.dice.once_in(2) {
            let soon_ms = self.dice.between(1, 400);
            self.schedule(while_ms + soon_ms, Recovery::Restart(node));
        }
        true
    }

    fn partition_in_two(&mut self, while_ms: u64) -> bool {
        let few = self.some_nodes(self.plan.nodes as usize / 2);
        let mut done = false;
        for one in few.clone() {
            for other in self.known_nodes.clone().into_iter().filter(|other| !few.contains(other)) {
                done |= self.partition(&host_name(one), &host_name(other), while_ms);
            }
        }
        done
    }

    /// A minority is partitioned and falls behind; then one of the others is wiped and the rest lose power. If the wiped node
    /// counted, it and the minority would be a majority without the acknowledged entries.
    fn wipe_while_others_lag(&mut self) -> bool {
        let fewest_behind = self.plan.nodes as usize - self.plan.majority();
        if self.lost.len() >= fewest_behind || self.known_nodes.iter().any(|node| self.host(*node).cluster().is_none())
        {
            return false;
        }
        let behind = self.some_nodes(fewest_behind);
        let mut ahead: Vec<u64> = self.known_nodes.iter().copied().collect();
        ahead.retain(|node| !behind.contains(node) && !self.lost.contains(node));
        let Some((wiped, rest)) = ahead.split_first() else { return false };
        let behind_ms = self.dice.between(800, 1_500);
        for one in &behind {
            for other in &ahead {
                self.partition(&host_name(*one), &host_name(*other), behind_ms);
            }
        }
        self.step_for(Duration::from_millis(behind_ms));
        let back_ms = self.dice.between(1_500, 3_000);
        for node in rest {
            self.crash_and_restart(*node, back_ms);
        }
        self.wipe_disks(*wiped);
        true
    }

    /// Makes disks of a node slow, or stalls them, for a while.
    fn slow_disks(&mut self, node: u64, while_ms: u64, how: impl Fn(&ModelDisks, u64)) -> bool {
        let slow_ms = self.dice.between(20, 250);
        let which = self.dice.below(3);
        let host = self.host(node);
        for (place, disks) in host.disks().into_iter().enumerate() {
            if which != place as u64 {
                how(disks, slow_ms);
            }
        }
        self.trace(format!("the disks of node {node} are slow or stalled for {while_ms} ms"));
        self.schedule(while_ms, Recovery::HealDisks(node));
        true
    }
}
