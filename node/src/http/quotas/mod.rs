//! What one API key may use of this node, so that enough is left for the others: commands a second, and large bodies and
//! long work at the same time.
//!
//! Invariants: a request refused here was not started. Only known keys come here, and the state of one is dropped with
//! its last request, or once its rate has recovered, so memory is bounded by the keys that exist.

mod concurrency;
mod rate;

pub use concurrency::ConcurrencyBounds;
pub(crate) use concurrency::{ConcurrencyLimit, Permit};
pub(crate) use rate::Rates;

use std::sync::Arc;

use super::limits::Limits;

/// The quotas of one node.
#[derive(Debug)]
pub struct Quotas {
    /// Commands a second, where they are limited.
    pub rates: Option<Rates>,
    /// Large bodies that are being read.
    pub large_bodies: Arc<ConcurrencyLimit>,
    /// Recomputations of the books.
    pub recounts: Arc<ConcurrencyLimit>,
    /// Searches through records, such as the pages of lists.
    pub scans: Arc<ConcurrencyLimit>,
    /// Backups.
    pub backups: Arc<ConcurrencyLimit>,
}

impl Quotas {
    /// Nothing is used yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            rates: limits.rate_per_key.map(Rates::new),
            large_bodies: Arc::new(ConcurrencyLimit::new("readings of large bodies", limits.large_bodies)),
            recounts: Arc::new(ConcurrencyLimit::new("recomputations of the books", limits.recounts)),
            scans: Arc::new(ConcurrencyLimit::new("searches", limits.scans)),
            backups: Arc::new(ConcurrencyLimit::new("backups", limits.backups)),
        }
    }
}
