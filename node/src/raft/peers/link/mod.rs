//! The peer link: how nodes talk. One long-lived connection per pair and purpose inside mutual TLS, frames with a bound,
//! and a hello that both sides check against the certificates.
//!
//! Read in this order: [`trust`] (who may speak), [`frame`], [`hello`], [`call`] (many at a time), [`append`] (in order),
//! [`serve`] (the other end).

pub mod append;
pub mod call;
pub mod error;
pub mod frame;
pub mod hello;
pub mod message;
pub mod serve;
pub mod trust;

#[cfg(test)]
pub(crate) mod tests;
