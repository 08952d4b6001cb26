//! The audit of the whole ledger, which never ends: in the background the records are added up again, and compared with what
//! the state claims, wherever both are at the same record. It begins with the first record, or with an image of itself.
//!
//! Read in this order: [`auditor`] (a bounded step), [`image`] (when an image is written), [`patrol`] (pages read again that
//! an image stands for), [`audits`] (what was found, for whoever asks), [`mod@follow`] (the task).

mod auditor;
mod audits;
mod follow;
mod image;
mod patrol;

pub(crate) use audits::Audits;
pub use audits::{AuditBehind, AuditProgress, Audited};
pub(crate) use follow::follow;
