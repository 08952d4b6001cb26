//! How a node starts and stops, and what it does by itself meanwhile.
//!
//! Read in this order: [`settings`], [`start`], [`node`] (all that a running node has), [`background`],
//! [`hand_over`].

pub mod background;
pub mod hand_over;
pub mod node;
pub mod settings;
pub mod start;
