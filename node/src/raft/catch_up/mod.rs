//! How a replica that is behind catches up: from its own checkpoint after a start, from a peer's pages otherwise.

pub(crate) mod checkpoint;
pub(crate) mod image;
pub(crate) mod install;
pub(crate) mod replay;
pub(crate) mod snapshot;
