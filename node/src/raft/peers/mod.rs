//! The other nodes: the link to them, and what is known of them.
//!
//! Read in this order: [`link`], [`network`] (openraft's calls over it), [`peer_table`], [`leader`],
//! [`service`] (what this node does for them), [`introduction`] (and for one that joins).

pub(crate) mod introduction;
pub(crate) mod leader;
pub mod link;
pub(crate) mod network;
pub(crate) mod peer_table;
pub(crate) mod service;
