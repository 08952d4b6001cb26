//! How a node starts and stops, and what it does by itself meanwhile.
//!
//! Read in this order: [`settings`], [`start`], [`node`] (all that a running node has), [`background`],
//! [`hand_over`], [`observation`] (what operators see of it), [`inspect`] (what a start would find), [`new_epoch`] (what is done to
//! a data directory before its first start).

pub(crate) mod background;
pub(crate) mod hand_over;
pub(crate) mod inspect;
pub mod new_epoch;
pub(crate) mod node;
pub(crate) mod observation;
pub(crate) mod settings;
pub(crate) mod start;
