//! What a node shows its operator, as Prometheus text: all that knows `prometheus_client`.
//!
//! Two halves. [`instruments`] count and time what happens; the part of the node where it happens owns them, and nothing below
//! them knows the node. [`exposition`] reads the rest at each scrape from what the node knows already, and writes both. Nothing
//! is global to the process: the simulation's nodes share one.
//!
//! Names follow etcd's: prefix `etebar_`, base units (seconds, bytes), a counter ends in `_total`. No label names a seller or a
//! phone. Each family has a row in `docs/metrics.md`, which a test compares.

pub mod exposition;
pub mod instruments;
