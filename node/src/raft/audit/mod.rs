//! The audit of the whole ledger, which never ends: in the background the records are added up again from the first one on,
//! and compared with what the state claims, wherever both are at the same record.
//!
//! Read in this order: [`auditor`] (a bounded step), [`audits`] (what was found, for whoever asks), [`mod@follow`] (the task).

mod auditor;
mod audits;
mod follow;

pub(crate) use auditor::Auditor;
pub(crate) use audits::Audits;
pub use audits::{AuditBehind, AuditProgress, Audited};
pub(crate) use follow::follow;
