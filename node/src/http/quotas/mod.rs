//! What one caller may take of this node, so that there is something left for the others: commands a second, and large
//! bodies and long work at the same time.
//!
//! Invariants: what is refused here was not begun. A caller is an API key; only known ones come here, and what is kept of
//! one ends with its last request or once its rate has recovered, so memory is bounded by the keys that there are.

mod rate;
mod turns;

pub use rate::Rates;
pub use turns::{Turn, TurnBounds, Turns};

use std::sync::Arc;

use super::limits::Limits;

/// The quotas of one node.
#[derive(Debug)]
pub struct Quotas {
    /// Commands a second.
    pub rates: Rates,
    /// Large bodies that are being read.
    pub large_bodies: Arc<Turns>,
    /// Recomputations of the books.
    pub recounts: Arc<Turns>,
    /// Searches through records, such as the pages of lists.
    pub scans: Arc<Turns>,
}

impl Quotas {
    /// Nothing taken yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            rates: Rates::new(limits.rate_per_key),
            large_bodies: Arc::new(Turns::new("readings of large bodies", limits.large_bodies)),
            recounts: Arc::new(Turns::new("recomputations of the books", limits.recounts)),
            scans: Arc::new(Turns::new("searches", limits.scans)),
        }
    }
}
