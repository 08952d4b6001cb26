//! Faults: what is injected, in which order, and how.

mod clocks;
mod inject;
mod leader;
mod schedule;

pub use schedule::FaultSchedule;
