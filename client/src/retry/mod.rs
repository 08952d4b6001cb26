//! How a call is sent: [`attempt`] is one request to one server, [`fetch`] repeats attempts until one settles the call,
//! [`backoff`] says how long to wait in between; [`download`] is one request whose answer may be of any length.

mod attempt;
mod backoff;
pub(crate) mod download;
mod fetch;
