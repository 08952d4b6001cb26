//! What an operator uses: the scripts, the program `etebar`, a terminal, a Prometheus server.

pub mod charges;
pub mod prometheus;
pub mod scripts;
pub mod tmux;
