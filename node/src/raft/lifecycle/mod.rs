//! How a node starts and stops, and what it does by itself meanwhile.
//!
//! Read in this order: [`settings`], [`start`], [`node`] (all that a running node has), [`background`],
//! [`hand_over`], [`inspect`] (what a start would find).

pub(crate) mod background;
pub(crate) mod hand_over;
pub(crate) mod inspect;
pub(crate) mod node;
pub(crate) mod settings;
pub(crate) mod start;
