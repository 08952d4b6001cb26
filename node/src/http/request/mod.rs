//! A request, read and checked: its head, who calls, its query, its body. What is wrong with it is said here, all at once.
//!
//! Read in this order: [`head`], [`call`], [`auth`], [`idempotency`], [`query`] with [`cursor`], [`json`] with [`field`].

pub mod auth;
pub mod call;
pub mod cursor;
pub mod field;
pub mod head;
pub mod idempotency;
pub mod json;
pub mod query;
pub mod secret;
