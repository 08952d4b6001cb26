//! From the server into the log and back: commands that are submitted and decided, and reads that wait for a position.
//!
//! Read in this order: [`cluster`] (what the server sees), [`submitter`] (to the leader, wherever it is), [`proposer`] (many
//! commands in one entry), [`read_gate`] (many reads behind one question), [`reads`] (which node confirms a position).

pub(crate) mod cluster;
pub(crate) mod proposer;
pub(crate) mod read_gate;
pub(crate) mod reads;
pub(crate) mod submitter;
