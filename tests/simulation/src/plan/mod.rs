//! What a seed draws before it starts: how many nodes, how they are configured, which faults and how often (swarm testing:
//! a run with few kinds of faults, often, finds what a run with all of them, rarely, does not).

mod fault_kind;

use etebar_node::storage::model::Dice;

pub use fault_kind::FaultKind;

/// A day: the window that is used in production.
const DAY_MS: u64 = 86_400_000;

/// See [`Plan::late_ms`]. It has dice of its own, so that it changes nothing else that a seed draws.
fn late_ms(seed: u64) -> u64 {
    let mut dice = Dice::new(seed, 9);
    if dice.once_in(4) { [20_000, DAY_MS / 12, 2 * DAY_MS][dice.below(3) as usize] } else { 0 }
}

/// What a seed draws.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How many nodes the cluster starts with, 3 or 5.
    pub nodes: u64,
    /// How many more hosts there are, on which nodes with new numbers wait to be added.
    pub spares: u64,
    /// How many clients there are, all concurrent.
    pub clients: u64,
    /// How many of them use HTTP, through the client library.
    pub http_clients: u64,
    /// Longest pause of a client between two operations, in milliseconds.
    pub pace_ms: u64,
    /// Bound of a node's log: so small that snapshots are installed.
    pub log_bytes: u64,
    /// How long idempotency keys are remembered.
    pub key_window_ms: u64,
    /// How many are remembered at most.
    pub keys_max: u64,
    /// How long a healthy disk takes for a sync, at most.
    pub sync_ms: u64,
    /// Longest latency of a message.
    pub latency_ms: u64,
    /// How far the nodes' clocks differ at most.
    pub skew_ms: u64,
    /// Furthest that a clock is set ahead or back.
    pub jump_ms: u64,
    /// How late all clocks are at the start. They are corrected before the first fault; ledger time is late until then.
    pub late_ms: u64,
    /// The ledger begins with the first rules, and some nodes run a build that knows no others until they are started anew.
    pub old_builds: bool,
    /// Several clocks may be wrong at the same time, for which no guarantee is given that keys are kept.
    pub many_wrong_clocks: bool,
    /// The kinds of faults.
    pub kinds: Vec<FaultKind>,
    /// Longest pause between two faults.
    pub pause_ms: u64,
    /// One in so many operations repeats or reuses an earlier key.
    pub repeats: u64,
    /// One in so many operations is a read.
    pub reads: u64,
}

impl Plan {
    /// Draws the plan of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let nodes = if dice.once_in(4) { 5 } else { 3 };
        let short_window = dice.once_in(3);
        let few_keys = short_window && dice.once_in(2);
        let mut kinds: Vec<FaultKind> = FaultKind::ALL.into_iter().filter(|_| dice.once_in(2)).collect();
        while kinds.len() < 5 {
            kinds.push(FaultKind::ALL[dice.below(FaultKind::ALL.len() as u64) as usize]);
            kinds.sort_unstable();
            kinds.dedup();
        }
        // With dice of its own, as above.
        if Dice::new(seed, 11).once_in(2) {
            kinds.push(FaultKind::CutTransfer);
        }
        if Dice::new(seed, 12).once_in(2) {
            kinds.push(FaultKind::MoveLeadership);
        }
        Self {
            seed,
            nodes,
            spares: if kinds.contains(&FaultKind::ReplaceNode) { 2 } else { 0 },
            clients: 8,
            http_clients: dice.between(1, 5),
            pace_ms: dice.between(20, 80),
            log_bytes: 1024 << dice.between(4, 8),
            key_window_ms: if short_window { dice.between(1_000, 5_000) } else { DAY_MS },
            keys_max: if few_keys { dice.between(60, 300) } else { 1_000_000 },
            sync_ms: dice.between(1, 8),
            latency_ms: dice.between(1, 12),
            skew_ms: dice.between(0, 2_000),
            jump_ms: [1_000, 20_000, 2 * DAY_MS, 2 * DAY_MS][dice.below(4) as usize],
            late_ms: late_ms(seed),
            // With dice of its own, as above.
            old_builds: Dice::new(seed, 10).once_in(2),
            many_wrong_clocks: dice.once_in(6),
            kinds,
            pause_ms: dice.between(300, 1_200),
            repeats: dice.between(4, 12),
            reads: dice.between(3, 6),
        }
    }

    /// How many hosts there are for nodes.
    pub fn hosts(&self) -> u64 {
        self.nodes + self.spares
    }

    /// The size of a majority of the first nodes.
    pub fn majority(&self) -> usize {
        self.nodes as usize / 2 + 1
    }
}
