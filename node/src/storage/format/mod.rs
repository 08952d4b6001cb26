//! The byte layout of everything on the disk: values and their seals, keys, and large values in parts.
//!
//! Invariant: version 1 stays readable; the golden bytes in the tests hold it in place.

pub mod codec;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_kinds;
pub(crate) mod keys;
pub(super) mod parts;
