//! The other nodes: the link to them, what is known of them, and changes of the members.
//!
//! Read in this order: [`link`], [`network`] (openraft's calls over it), [`neighbours`], [`leader`],
//! [`membership`].

pub mod leader;
pub mod link;
pub mod membership;
pub mod neighbours;
pub mod network;
