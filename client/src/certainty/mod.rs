//! What is certain about a call, after one attempt and after all of them.
//!
//! [`mod@meaning`] reads one answer, [`course`] adds up a call's attempts, [`window`] bounds for how long they may go on,
//! [`stopwatch`] says how long that was, [`limited`] which servers take no more for now, and [`request_id`] tells an answer to
//! one attempt from an answer to another.

mod course;
mod limited;
mod meaning;
pub(super) mod request_id;
mod stopwatch;
mod window;

pub(super) use course::Course;
pub use meaning::{Heard, Meaning};
pub(super) use meaning::{Wish, meaning, wished};
pub use stopwatch::Stopwatch;
pub(super) use window::KeyWindow;
