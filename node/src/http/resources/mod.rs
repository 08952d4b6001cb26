//! The resources of the API, one file each: what is asked, who may, what is shown.

pub mod audit;
pub mod charges;
pub mod cluster;
pub mod credit_requests;
pub mod health;
pub mod journal;
pub mod keys;
pub mod phones;
pub mod reconciliation;
pub mod sellers;
