//! The history of a run: what clients asked and were answered, which faults were injected, and which guarantees were violated.

pub mod events;
pub mod http_response;
mod recorder;
pub mod report;

pub use recorder::{Recorder, RunHistory};
