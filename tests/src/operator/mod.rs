//! What an operator uses: the scripts, the program `etebar`, a terminal.

pub mod charges;
pub mod scripts;
pub mod tmux;
