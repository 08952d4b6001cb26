//! A request, read and checked: its head, who calls, its query, its body. All that is wrong with it is reported at once.
//!
//! Read in this order: [`head`] with [`secret`], [`query`] with [`cursor`], [`body`] with [`json`], [`answered`] (the
//! log's line of it).

pub(crate) mod answered;
pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod head;
pub(crate) mod json;
pub(crate) mod query;
pub mod secret;
