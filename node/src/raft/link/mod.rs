//! The peer link: how members talk. One long-lived connection per pair and purpose, frames with a bound, and a hello
//! that both sides check.
//!
//! Read in this order: [`frame`], [`hello`], [`call`] (many at a time), [`append`] (in order), [`serve`] (the other end).

pub mod append;
pub mod call;
pub mod frame;
pub mod hello;
pub mod message;
pub mod serve;
pub mod told;

#[cfg(test)]
pub(super) mod tests;
