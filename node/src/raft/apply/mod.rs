//! From the log into the state: each committed entry is applied in order, once, and published to those who wait for it.
//!
//! Read in this order: [`machine`] (one committed entry after the other), [`replica`] (what is
//! published), [`health`], [`waits`], [`api_keys`].

pub(crate) mod api_keys;
pub(crate) mod health;
pub(crate) mod machine;
pub(crate) mod replica;
pub(crate) mod rules;
pub(crate) mod waits;
