//! Answers: successful ones, and problems (RFC 9457). The fields that every answer has are added by the server.

pub mod problem;
pub mod render;
pub mod reply;
