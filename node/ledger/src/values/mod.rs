//! What commands, records and the state are made of. Each type checks its invariant in its one constructor, so a value
//! that exists is valid.

pub mod amount;
pub mod folded_name;
pub mod ids;
pub mod phone;
pub mod rules;
pub mod text;
