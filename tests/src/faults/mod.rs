//! What goes wrong around nodes: disks that fail, clocks that are set, networks that are cut, a proxy that changes answers.

pub mod clocks;
pub mod cutting_proxy;
pub mod failing_disk;
pub mod lying_proxy;
pub mod network;
