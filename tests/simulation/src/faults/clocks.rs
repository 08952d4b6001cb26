//! Clocks that are set while nodes are down.

use std::time::Duration;

use crate::world::World;

impl World<'_> {
    /// A node that starts again has no earlier time to compare its clock with; where all start again, none has.
    pub fn set_clock_while_down(&mut self, node: u64, while_ms: u64) -> bool {
        let nodes = if self.dice.once_in(2) { vec![node] } else { self.some_nodes(self.plan.hosts() as usize) };
        let crashed = nodes.into_iter().filter(|node| {
            let more_ms = self.dice.between(0, 300);
            self.crash_and_restart(*node, while_ms + more_ms)
        });
        crashed.count() > 0 && self.set_clock(node)
    }

    /// With three nodes two clocks are left, and no majority of them shows which one is wrong.
    pub fn set_clock_in_bare_majority(&mut self, node: u64, while_ms: u64) -> bool {
        let leader = self.observer.leader().filter(|_| !self.dice.once_in(4));
        let node = leader.unwrap_or(node);
        let mut others = self.some_nodes(self.plan.hosts() as usize);
        others.retain(|other| *other != node);
        let down = others.into_iter().take(self.plan.nodes as usize - self.plan.majority());
        let crashed = down.filter(|other| self.crash_and_restart(*other, while_ms + 4_500)).count();
        // The clocks of nodes that are down count for 2 s: the clock is set before that or after.
        let soon_ms = self.dice.between(1_000, 4_000);
        self.step_for(Duration::from_millis(soon_ms));
        let most = self.plan.jump_ms.cast_signed();
        let ahead = most - self.dice.between(0, self.plan.jump_ms / 2).cast_signed();
        let to = if self.dice.once_in(3) { -ahead } else { ahead };
        self.set_clock_to(node, to, 0) || crashed > 0
    }
}
