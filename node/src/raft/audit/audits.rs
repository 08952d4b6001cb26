//! What the audit has found, for whoever asks; and whoever waits until it has come to an entry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ledger::{Audit, AuditReport, TableSeed};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::raft::apply::waits::{TooManyWait, Waits};

/// The ledger as it was audited up to one position.
#[derive(Debug, Clone)]
pub struct Audited {
    /// The Raft log index that the audited records reflect; 0 before the first.
    pub applied: u64,
    /// What was added up, and what is broken.
    pub report: AuditReport,
}

/// How far the audit has come. It is between two positions most of the time, and of these [`Audited`] names the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditProgress {
    /// Records audited.
    pub records: u64,
    /// Entries that these made.
    pub entries: u64,
    /// Whether no promise was found broken so far, and the audit goes on.
    pub is_consistent: bool,
}

/// The audit has not come so far within the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit has come to entry {audited}, and {requested} is asked for")]
pub struct AuditBehind {
    /// The last entry of the last position that was audited.
    pub audited: u64,
    /// The entry that was waited for.
    pub requested: u64,
}

/// See the head of this file; one for the node.
#[derive(Debug)]
pub(crate) struct Audits {
    last: Mutex<Arc<Audited>>,
    records: AtomicU64,
    entries: AtomicU64,
    fault: OnceLock<String>,
    waits: Waits,
}

impl Audits {
    /// Nothing audited yet.
    pub(crate) fn new(seed: TableSeed) -> Self {
        let nothing = Audited { applied: 0, report: Audit::new(seed).report() };
        Self {
            last: Mutex::new(Arc::new(nothing)),
            records: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            fault: OnceLock::new(),
            waits: Waits::default(),
        }
    }

    /// The audit came to so many records and entries.
    pub(super) fn advance(&self, records: u64, entries: u64) {
        self.records.store(records, Ordering::Relaxed);
        self.entries.store(entries, Ordering::Relaxed);
    }

    /// A promise was found broken, or none is looked after any more. The first reason stays.
    pub(super) fn mark_broken(&self, why: String) {
        self.fault.get_or_init(|| why);
    }

    /// There is no audit any more.
    pub(super) fn end(&self, why: &str) {
        tracing::error!(why, "the audit ended");
        self.mark_broken(format!("its audit ended: {why}"));
    }

    /// Why the books of this node are not to be trusted, where they are not.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    /// The audit came to a position, and wakes who waits for it.
    pub(super) fn publish(&self, audited: Arc<Audited>) {
        let entries = audited.report.sums.entries;
        *self.last.lock() = audited;
        self.waits.reach(entries);
    }

    /// Whether somebody waits until it has come further.
    pub(super) fn is_awaited(&self) -> bool {
        self.waits.is_awaited()
    }

    /// How far the audit has come.
    pub(crate) fn progress(&self) -> AuditProgress {
        AuditProgress {
            records: self.records.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            is_consistent: self.fault.get().is_none(),
        }
    }

    /// The last position that was audited.
    #[cfg(feature = "simulation")]
    pub(crate) fn last(&self) -> Audited {
        (**self.last.lock()).clone()
    }

    /// The last position that was audited, once that covers entry `min_entry`.
    ///
    /// # Errors
    /// Where it does not in time.
    pub(crate) async fn covering(&self, min_entry: u64, deadline: Instant) -> Result<Arc<Audited>, AuditBehind> {
        match timeout_at(deadline, self.waits.reached(min_entry)).await {
            Ok(Ok(())) => Ok(self.last.lock().clone()),
            Ok(Err(TooManyWait)) | Err(_) => {
                Err(AuditBehind { audited: self.last.lock().report.sums.entries, requested: min_entry })
            }
        }
    }
}
