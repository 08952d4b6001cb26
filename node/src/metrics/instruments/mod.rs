//! Counters and histograms, each owned by the part of the node that it is about. Their handles are made once, with the node.
//!
//! Cost: per log entry or per request, never per charge: what an entry does is added up in an [`EntryTally`] first. Read in this
//! order: [`log`], [`apply`], [`node`] (leadership, commands that failed, peers, transfers), [`http`].

pub mod apply;
pub mod http;
mod labelled;
pub mod log;
pub mod node;

pub use apply::{ApplyInstruments, EntryTally};
pub use http::HttpInstruments;
pub use log::LogInstruments;
pub use node::NodeInstruments;
