//! Answers: successful ones, problems (RFC 9457), and the headers that every one of them has.

pub mod problem;
pub mod render;
pub mod reply;
pub mod signature;
