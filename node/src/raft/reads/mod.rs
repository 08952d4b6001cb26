//! Reads that wait for a position: many behind one quorum read, on whichever node was asked.
//!
//! Read in this order: [`gate`] (many reads behind one question), [`position`] (which node confirms a position),
//! [`backup`] (all records up to one, as a stream).

pub(crate) mod backup;
pub(crate) mod gate;
pub(crate) mod position;
