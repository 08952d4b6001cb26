//! The byte layout of everything on the disk: values and their seals, keys, and large values in parts.
//!
//! Each kind of thing has a version of its own ([`Kind`]). Invariant: a version that was released stays readable; the
//! golden bytes in the tests hold it in place.

pub mod codec;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_kinds;
pub(crate) mod keys;
pub mod kind;
pub(super) mod parts;

pub use kind::Kind;
