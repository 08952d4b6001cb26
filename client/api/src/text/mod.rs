//! Text as people see it: what may stand in a name, and what others wrote on its way to a terminal.

mod foreign;
mod name;

pub use foreign::{CodePoint, SHOWN_CHARS, is_visible, shown, shown_json, shown_lines};
pub use name::{NameError, check_name};
