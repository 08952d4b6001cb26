//! Images of the audit: when one is written, and when it counts.
//!
//! The audit reads what is in memory alone, so it is ahead of the pages that are durable. What it has come to is therefore
//! written at once, beside the image before, and put in its place once all of its records are durable. Nothing waits for the
//! audit, so it writes in its own time and falls behind meanwhile.

use ledger::Audit;

use crate::raft::catch_up::image::ImageDue;
use crate::storage::History;
use crate::storage::history::WrittenImage;

/// Least bytes of pages between two images. Source: 1.9 million records, which an audit adds up again in some ten seconds; an
/// image of a large ledger is of that size itself.
#[cfg(not(feature = "simulation"))]
const NEW_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// Least bytes of pages between two images; a simulated run has some hundred records.
#[cfg(feature = "simulation")]
const NEW_BYTES_MIN: u64 = 4 * 1024;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct AuditImages {
    due: ImageDue,
    /// One that was written, and has a record that was not durable then.
    written: Option<WrittenImage>,
}

impl AuditImages {
    /// After a start from `last`, its records and its bytes; zeros for none.
    pub(super) fn after(last: (u64, u64)) -> Self {
        Self { due: ImageDue::after(last, NEW_BYTES_MIN), written: None }
    }

    /// After a step of `audit`: writes an image where one is due, and keeps the one that was written where it is within the
    /// `durable` records. Blocks. A failure costs the next start time and nothing else; the disk's own failures are seen by what
    /// needs it.
    pub(super) fn advance(&mut self, audit: &Audit, history: &History, durable: u64) {
        let records = audit.records();
        if self.written.is_none() && self.due.is_due(records) {
            match history.write_audit_image(audit) {
                Ok(Some(image)) => {
                    self.due.written(records, image.bytes());
                    self.written = Some(image);
                }
                // Something was found: a start from an earlier image finds it again.
                Ok(None) => self.due.failed(records),
                Err(error) => {
                    self.due.failed(records);
                    tracing::warn!(%error, "no image of the audit written");
                }
            }
        }
        if let Some(image) = self.written.take_if(|image| image.records() <= durable) {
            let records = image.records();
            match history.keep_image(image) {
                Ok(bytes) => tracing::debug!(records, bytes, "image of the audit written"),
                Err(error) => tracing::warn!(%error, "the image of the audit was not kept"),
            }
        }
    }
}
