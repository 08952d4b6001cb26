//! Faults of the leader: it is isolated from the other nodes, its disk stalls, or another one is to lead.

use std::time::Duration;

use crate::network::host_name;
use crate::world::World;
use crate::world::host::Instruction;

/// Longest time until a leader whose disk stalls has given up leadership: two election time-outs, and one interval of
/// observation.
const GIVE_UP: Duration = Duration::from_millis(2 * 400 + 10);

/// Longest time without a decision after a member was to lead and may have failed at it. Source: as long as after any other
/// fault.
const LED_AGAIN: Duration = Duration::from_secs(10);

/// As many decisions show that it decides again; some of an earlier time may still be on their way to their callers.
const DECISIONS: u64 = 5;

impl World<'_> {
    /// The others elect a new leader while the old one still takes itself for the leader, and clients send requests to it.
    pub fn isolate_leader(&mut self, while_ms: u64) -> bool {
        let Some(leader) = self.observer.leader() else { return false };
        // More than their election time-out, so that they vote at once.
        let skip = Duration::from_millis(self.dice.between(750, 1_100));
        let skips = self.dice.once_in(2);
        let mut done = false;
        self.workload.state().isolated_leader = Some(leader);
        for other in (1..=self.plan.hosts()).filter(|other| *other != leader) {
            done |= self.partition(&host_name(leader), &host_name(other), while_ms.max(600));
            if skips {
                self.instruct(other, Instruction::SkipTime(skip));
            }
        }
        done
    }

    /// The log's disk of a leader stalls while all nodes are healthy and reach each other: another must lead within two
    /// election time-outs from the first write that does not end.
    pub fn stall_leader_disk(&mut self) -> bool {
        let armed = self.disarm();
        self.step_for(Duration::from_secs(1));
        let leader = self.observer.leader().filter(|_| self.is_all_healthy());
        let Some(leader) = leader else {
            self.arm(armed);
            return false;
        };
        self.trace(format!("the disk of node {leader}, which leads, stalls while all else is healthy"));
        let host = self.host(leader);
        host.log.set_health(|health| health.stalled = true);
        let writes = |world: &mut Self| {
            world.host(leader).cluster().is_some_and(|cluster| {
                let probe = cluster.probe();
                probe.last.is_some_and(|last| last.index >= probe.durable_end)
            })
        };
        let is_replaced = |world: &mut Self| world.observer.leader().is_some_and(|now| now != leader);
        if self.wait(Duration::from_secs(1), writes) && !self.wait(GIVE_UP, is_replaced) {
            self.recorder.violation(format!("node {leader} still leads {GIVE_UP:?} after its disk stalled"));
        }
        host.heal_disks();
        self.arm(armed);
        true
    }

    /// A member is asked to lead: any of them, so perhaps one that is down, cut off, behind, or has a wrong clock. It may lose
    /// power or be cut off while it takes over. Where all was healthy before, commands are decided again within the usual time.
    pub fn move_leadership(&mut self, while_ms: u64) -> bool {
        let (asked, to) = (self.any_node(), self.any_node());
        let is_checked = self.dice.once_in(2);
        let fails = self.dice.below(3);
        let armed = self.disarm();
        let was_healthy = self.is_all_healthy();
        let asked = if is_checked { Some(asked) } else { self.observer.leader() };
        let instruction = if is_checked { Instruction::Lead(to) } else { Instruction::TransferUnchecked(to) };
        let is_done = asked.is_some_and(|asked| self.instruct(asked, instruction));
        if is_done {
            let how = if is_checked { "if it can" } else { "whether it can or not" };
            self.trace(format!("node {to} is to lead, {how}"));
            let soon_ms = self.dice.between(0, 30);
            self.step_for(Duration::from_millis(soon_ms));
            match fails {
                0 => {
                    self.crash_and_restart(to, while_ms);
                }
                1 => {
                    for other in (1..=self.plan.hosts()).filter(|other| *other != to) {
                        self.partition(&host_name(to), &host_name(other), while_ms);
                    }
                }
                _ => {}
            }
            let before = self.recorder.history().acknowledged;
            let succeed = |world: &mut Self| world.recorder.history().acknowledged >= before + DECISIONS;
            if was_healthy && !self.wait(LED_AGAIN, succeed) && !self.recorder.has_violation() {
                self.recorder
                    .violation(format!("hardly anything was decided within {LED_AGAIN:?} after node {to} was to lead"));
            }
        }
        self.arm(armed);
        is_done
    }
}
