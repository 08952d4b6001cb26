//! Text as people see it: what a name may contain, and how text that others wrote is shown on a terminal.

mod foreign;
mod name;
mod reference;

pub use foreign::{CodePoint, SHOWN_CHARS, is_visible, shown, shown_json, shown_lines};
pub use name::{NameError, check_name};
pub use reference::{ReferenceError, check_reference};
