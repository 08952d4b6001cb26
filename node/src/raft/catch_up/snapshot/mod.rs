//! Catching up a node whose log ends before ours begins: only the pages that it lacks are sent.
//!
//! Invariants: what the follower has durably is never overwritten; a history that is not the beginning of ours stops the
//! follower and is kept; a broken transfer resumes where it ended, because full pages are the same everywhere.
//!
//! Read in this order: [`transfer`] (what is exchanged), [`send`], [`receive`].

pub(crate) mod receive;
pub(crate) mod send;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
