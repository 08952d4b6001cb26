//! The other nodes: the link to them, what is known of them, and changes of the members.
//!
//! Read in this order: [`link`], [`network`] (openraft's calls over it), [`peer_table`], [`leader`],
//! [`membership`].

pub mod leader;
pub mod link;
pub mod membership;
pub mod network;
pub mod peer_table;
