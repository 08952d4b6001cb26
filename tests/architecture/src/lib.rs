//! Checks how the files of this repository depend on each other: no circles, nothing that points up, and each library
//! named only where it may be.
//!
//! An *arrow* goes from a file to another file that defines something it names: in a `use`, or in a path anywhere in code,
//! macros and attributes. Re-exports are followed to the definition. Declaring or re-exporting a child is no arrow; naming
//! an item that the parent defines is one. Method calls name no file, so they are no arrows. Code that only tests see
//! (`#[cfg(test)]`, `tests/`, `examples/`) draws no arrow, but the rules about libraries and order hold for it too.
//!
//! Read in this order: [`rules`] (the tables), [`source`] (what was read, and how), [`resolve`],
//! [`arrows`], [`circles`], [`check`].
#![deny(clippy::unwrap_used)]

pub mod arrows;
pub mod check;
pub mod circles;
pub mod resolve;
pub mod rules;
pub mod source;
