//! What is certain about a call, after one attempt and after all of them.
//!
//! [`meaning`] reads one answer, [`course`] adds up a call's attempts, [`window`] bounds for how long they may go on, and
//! [`request_id`] tells an answer to one attempt from an answer to another.

mod course;
mod meaning;
pub(super) mod request_id;
mod window;

pub(super) use course::Course;
pub use meaning::{Heard, Meaning};
pub(super) use meaning::{meaning, wished};
pub(super) use window::{KeyWindow, Learned};
