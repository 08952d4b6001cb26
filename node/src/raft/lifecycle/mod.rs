//! How a node starts and stops, and what it does by itself meanwhile.
//!
//! Read in this order: [`settings`], [`start`], [`member`] (all that a running node has), [`background`],
//! [`leadership`].

pub mod background;
pub mod leadership;
pub mod member;
pub mod settings;
pub mod start;
