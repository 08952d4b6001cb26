//! Who may speak on the peer link, with what proof, and for how long.
//!
//! Read in this order: [`credentials`] (what proves a number), [`verifier`] (what is checked of it), [`transport`] (TLS, and
//! the seam to the simulation), [`follow`] (files that change), [`pending`] and [`open`] (who has a place, before and after
//! the proof), [`known_peers`] (whose data directory is known), [`received_lists`] (members that this one does not know
//! yet).

pub mod credentials;
pub mod follow;
pub mod known_peers;
pub mod open;
pub mod pending;
pub mod received_lists;
pub mod refusals;
pub mod transport;
pub mod verifier;
