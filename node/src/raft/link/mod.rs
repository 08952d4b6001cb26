//! The peer link: how members talk. One long-lived connection per pair and purpose, frames with a bound, and a hello
//! that both sides check.

pub mod append;
pub mod call;
pub mod frame;
pub mod hello;
pub mod message;
pub mod serve;
