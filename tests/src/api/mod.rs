//! What stands before a cluster's API: requests over plain sockets, callers with their keys, certificates of servers.

pub mod caller;
pub mod certificates;
pub mod http;
