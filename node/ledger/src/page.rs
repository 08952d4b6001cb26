//! Pages: the records of a history, 64 by 64. A page is a block of both chains ([`crate::digest`]).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::values::ids::{RecordNumber, Time};

/// Records in a page of the history. Never changes: pages and digests are then equal on all replicas.
pub const PAGE_RECORDS: u64 = 64;

/// The page (from 0) that holds a record.
pub fn page_of(record: RecordNumber) -> u64 {
    record.saturating_sub(1) / PAGE_RECORDS
}

/// What the records before a page come to: with it and the page alone, each digest in the page can be given or checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageMark {
    /// The ledger's id, which every block of both chains begins with.
    pub ledger: Uuid,
    /// The number of the page's first record.
    pub first: RecordNumber,
    /// When that record was decided.
    pub time: Time,
    /// Entries made before it.
    pub entries: u64,
    /// Records with an idempotency key before it.
    pub keyed: u64,
    /// The chain over all records before it: by it two nodes find out whether one's history begins the other's.
    pub record_digest: Digest,
    /// The published chain before it.
    pub entry_digest: Digest,
}
