//! The machine that tests run on: its programs, processes, folders and ports, disks to mount, and what it may lack.

pub mod builds;
pub mod disk;
pub mod needs;
pub mod place;
pub mod programs;
pub mod spawner;
pub mod turns;
