//! What an operator uses: the scripts, the program `etebar`, a terminal.

pub mod scripts;
pub mod tmux;
