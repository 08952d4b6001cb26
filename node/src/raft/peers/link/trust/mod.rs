//! Who may speak on the peer link, with what proof, and for how long.
//!
//! Read in this order: [`credentials`] (what proves a number), [`transport`] (TLS, and the seam to the simulation), [`follow`]
//! (files that change), [`strangers`] and [`open`] (who has a place, before and after the proof), [`vouched`] (members that
//! this one does not know yet).

pub mod credentials;
pub mod follow;
pub mod known_peers;
pub mod open;
pub mod strangers;
pub mod transport;
pub mod vouched;
