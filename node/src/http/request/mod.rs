//! A request, read and checked: its head, who calls, its query, its body. All that is wrong with it is reported at once.
//!
//! Read in this order: [`head`], [`auth`], [`query`] with [`cursor`], [`body`] with [`field`].

pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod field;
pub(crate) mod head;
pub(crate) mod query;
