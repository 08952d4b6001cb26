//! Known bugs, planted one at a time to see whether `tests/simulation` finds them. Absent from every other build: there
//! [`planted`] is a constant `false`, and a build with the feature that is not the simulation's does not compile.

use crate::state::State;

/// Each bug's name, and what it does.
pub const PLANTS: [(&str, &str); 31] = [
    ("answer-before-flush", "appended entries are answered before they are synced"),
    ("append-not-flushed", "appended entries are not synced at all"),
    ("vote-not-flushed", "a vote is answered without a sync"),
    ("applied-apart", "the applied position is stored without the records that it stands for"),
    ("dedup-lost-over-restart", "a restart forgets the idempotency keys"),
    ("snapshot-without-keys", "an installed snapshot lacks the idempotency keys"),
    ("key-forgotten-early", "one node forgets keys after half their window"),
    ("stale-read-at-old-leader", "a leader confirms reads without asking a quorum"),
    ("stale-read-after-pause", "a leader confirms reads by its clock"),
    ("stale-read-at-follower", "any node answers linearizable reads from what it has"),
    ("double-approve", "a credit request can be approved again"),
    ("below-zero", "a decrease takes what is left where the credit does not suffice"),
    ("reversal-twice", "a charge can be reversed again"),
    ("forward-under-new-key", "a forwarded command without an answer is sent again under a new key"),
    ("clock-in-decide", "a decision is stamped with the clock of the node that applies it"),
    ("unordered-iteration", "the commands of an entry are decided in an order of the node's own"),
    ("truncation-lost", "entries that were truncated stay on the disk"),
    ("callbacks-out-of-order", "of several appends in one write the newest is answered before it is written"),
    ("torn-page-accepted", "checksums of what is read from the disk are not compared"),
    ("wiped-node-votes", "a member whose disk was wiped is welcome under its old number"),
    ("leader-restored", "a leader that crashed comes back in its term without an election"),
    ("revoked-key-works", "a revoked API key is still good"),
    ("refusal-forgotten", "a refusal is not remembered under its idempotency key"),
    ("client-repeats-under-new-key", "the client library repeats an attempt under another idempotency key"),
    ("client-forgets-attempts", "the client library takes an attempt whose connection broke for one that nobody heard"),
    ("client-believes-strangers", "the client library takes a proxy's 503 for a node's word that nothing was done"),
    ("two-leaders-a-term", "a member votes again in a term for a candidate of a higher number"),
    ("two-clocks-are-a-majority", "a leader that hears fewer than three clocks stamps with its own as it is"),
    ("start-trusts-clock", "after a start ledger time is what the leader's clock says, before another is heard"),
    ("unknown-told-as-not-done", "a forwarded command without an answer is told as certainly not done"),
    ("read-joins-question", "a read takes the answer to a question that was asked before it came"),
];

/// Whether this bug is planted.
#[cfg(not(feature = "plants"))]
#[inline(always)]
pub const fn planted(_name: &str) -> bool {
    false
}

/// Does nothing in this build.
#[cfg(not(feature = "plants"))]
pub const fn forget_keys(_state: &mut State) {}

/// Does nothing in this build.
#[cfg(not(feature = "plants"))]
pub const fn halve_key_window(_state: &mut State) {}

/// Nothing in this build.
#[cfg(not(feature = "plants"))]
pub const fn node_clock_ms() -> u64 {
    0
}

/// Nothing in this build.
#[cfg(not(feature = "plants"))]
pub const fn chance() -> usize {
    0
}

#[cfg(feature = "plants")]
pub use soil::{chance, choose, forget_keys, halve_key_window, node_clock_ms, planted, set_node_clock_ms};

#[cfg(feature = "plants")]
mod soil {
    use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use super::{PLANTS, State};

    static CHOSEN: AtomicUsize = AtomicUsize::new(usize::MAX);
    static CLOCK_MS: AtomicU64 = AtomicU64::new(0);
    static TURNS: AtomicUsize = AtomicUsize::new(0);

    /// Plants the bug of this name, or none; `false` where there is none of that name.
    pub fn choose(name: Option<&str>) -> bool {
        let place = name.map(|name| PLANTS.iter().position(|(plant, _)| *plant == name));
        CHOSEN.store(place.flatten().unwrap_or(usize::MAX), Ordering::Relaxed);
        place != Some(None)
    }

    /// Whether this bug is planted.
    pub fn planted(name: &str) -> bool {
        PLANTS.get(CHOSEN.load(Ordering::Relaxed)).is_some_and(|(plant, _)| *plant == name)
    }

    /// Forgets all idempotency keys.
    pub fn forget_keys(state: &mut State) {
        state.keys_mut().forget();
    }

    /// Lets keys be forgotten after half their window.
    pub fn halve_key_window(state: &mut State) {
        state.keys_mut().halve_window();
    }

    /// The clock of whichever node runs just now.
    pub fn node_clock_ms() -> u64 {
        CLOCK_MS.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set_node_clock_ms(ms: u64) {
        CLOCK_MS.store(ms, Ordering::Relaxed);
    }

    /// A number that is another one each time, as a hasher's keys are.
    pub fn chance() -> usize {
        TURNS.fetch_add(1, Ordering::Relaxed)
    }
}
