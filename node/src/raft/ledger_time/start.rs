//! Where ledger time starts after all nodes were down: where most of a quorum carried it to.

use tokio::time::Instant;

use super::line::{LedgerTime, Line, NO_TERM};
use super::verdict::CLOCK_OFF_MS;

/// Where ledger time is to start, where this node has to say so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// Where the nodes received carried it to, once any was received. Advances with the monotonic clock: the clocks
    /// count as of when they were compared, whatever is set after that.
    pub agreed: Option<Line>,
    /// Whether enough are received not to wait for more.
    pub is_enough: bool,
}

impl Start {
    /// Nothing was received yet.
    pub(crate) const UNKNOWN: Self = Self { agreed: None, is_enough: false };

    /// The lower median of where this node and others carried ledger time to: with one wrong clock among three it lies
    /// between two right ones, and of two it is the slower one.
    pub(crate) fn among(own: u64, others: Vec<u64>, voters: usize, now: Instant) -> Self {
        let mut all = others;
        if all.is_empty() {
            return Self { agreed: None, is_enough: voters <= 1 };
        }
        all.push(own);
        all.sort_unstable();
        let at = |place: usize| all.get(place).copied().unwrap_or(own);
        let last = all.len() - 1;
        // Where two differ, a third one is waited for, where there is one.
        let is_apart = last == 1 && at(last).abs_diff(at(0)) > CLOCK_OFF_MS.unsigned_abs();
        let enough = if is_apart { voters } else { voters / 2 + 1 };
        let agreed = Line::new(LedgerTime { term: NO_TERM, ms: at(last / 2) }, now);
        Self { agreed: Some(agreed), is_enough: all.len() >= enough }
    }
}
