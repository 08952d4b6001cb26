//! How a call is sent: [`attempt`] is one request to one server, [`fetch`] repeats attempts until one settles the call,
//! [`backoff`] says how long to wait in between.

mod attempt;
mod backoff;
mod fetch;
