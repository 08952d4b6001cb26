//! The byte layout of what lies on the disk: keys, and large values in parts. That of the values themselves, with their
//! versions and seals, is in the crate `pages`.
//!
//! Each kind of thing has a version of its own ([`Kind`]). Invariant: a version that was released stays readable; the
//! golden bytes in the tests hold it in place.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_kinds;
pub(crate) mod keys;
pub(super) mod parts;

pub use pages::{Kind, codec};
