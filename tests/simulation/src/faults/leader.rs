//! Faults of the leader: it is isolated from the other nodes, or its disk stalls.

use std::time::Duration;

use crate::network::host_name;
use crate::world::World;
use crate::world::host::Instruction;

/// Longest time until a leader whose disk stalls has given up leadership: two election time-outs, and one interval of
/// observation.
const GIVE_UP: Duration = Duration::from_millis(2 * 400 + 10);

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
}
