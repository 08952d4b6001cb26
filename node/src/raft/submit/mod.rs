//! From the server into the log and back: commands that are submitted and decided.
//!
//! Read in this order: [`cluster`] (what the server sees), [`submitter`] (to the leader, wherever it is), [`proposer`] (many
//! commands in one entry), [`lead`] (who shall lead, to the leader).

pub(crate) mod cluster;
mod lead;
pub(crate) mod proposer;
pub(crate) mod submitter;
