//! Answers: successful ones, and problems (RFC 9457). The fields that every answer has are added by the server.

pub(crate) mod problem;
pub(crate) mod render;
pub(crate) mod reply;
