//! What is certain about the outcome of a call, after one attempt and after all of them.
//!
//! [`meaning`] reads one answer, [`call_state`] adds up a call's attempts, [`key_window`] bounds for how long they may
//! continue, [`stopwatch`] measures how long they have, [`rate_limits`] knows which servers take no more for now, and
//! [`request_id`] recognises an answer that belongs to another attempt.

pub(crate) mod call_state;
pub(crate) mod key_window;
pub(crate) mod meaning;
pub(crate) mod rate_limits;
pub(crate) mod request_id;
pub(crate) mod stopwatch;
