//! The bodies of requests and answers, one file for each resource, with their fields in the contract's order.

pub(crate) mod acts;
pub(crate) mod charges;
pub(crate) mod cluster;
pub(crate) mod credit_requests;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod sellers;
