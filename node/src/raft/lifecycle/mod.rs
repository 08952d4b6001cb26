//! How a node starts and stops, and what it does by itself meanwhile.
//!
//! Read in this order: [`settings`], [`start`], [`node`] (all that a running node has), [`background`],
//! [`hand_over`], [`new_epoch`] (what is done to a data directory before its first start), [`observation`] (what operators see
//! of it).

pub(crate) mod background;
pub(crate) mod hand_over;
pub mod new_epoch;
pub(crate) mod node;
pub(crate) mod observation;
pub(crate) mod settings;
pub(crate) mod start;
