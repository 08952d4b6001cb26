//! A request, read and checked: its head, who calls, its query, its body. All that is wrong with it is reported at once.
//!
//! Read in this order: [`head`], [`auth`], [`query`] with [`cursor`], [`body`] with [`field`].

pub mod auth;
pub mod body;
pub mod cursor;
pub mod field;
pub mod head;
pub mod query;
