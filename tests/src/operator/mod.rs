//! What an operator uses: the scripts, the program `etebar`, a terminal, a Prometheus server, S3-compatible storage.

pub mod charges;
pub mod prometheus;
pub mod scripts;
pub mod storage;
pub mod tmux;
