//! What all simulated clusters have in common: the names of hosts, their ports, the cluster's id and the time of its start.

use etebar_node::storage::NodeAddresses;
use ledger::Address;

/// When every simulation starts, in milliseconds since the Unix epoch.
pub const START_MS: u64 = 1_700_000_000_000;
/// The cluster of every simulation.
pub const CLUSTER: u128 = 0x00E7_EBA2;
/// The host of the clients.
pub const CLIENTS_HOST: &str = "sellers";
/// The host of the proxy.
pub const PROXY_NAME: &str = "proxy";
/// Where nodes serve HTTP.
pub const HTTP_PORT: u16 = 80;
/// Where nodes serve the command port.
pub const COMMAND_PORT: u16 = 7100;

/// A host's name in the simulated network.
pub fn host_name(node: u64) -> String {
    format!("n{node}")
}

/// Where a node serves.
pub fn addresses(node: u64) -> NodeAddresses {
    NodeAddresses { api: format!("{}:80", host_name(node)), peer: format!("{}:7121", host_name(node)) }
}

/// The same as a command has them.
pub fn ledger_addresses(node: u64) -> ledger::NodeAddresses {
    let of_ledger = |text: &str| Address::new(text).expect("a short address");
    let addresses = addresses(node);
    ledger::NodeAddresses { api: of_ledger(&addresses.api), peer: of_ledger(&addresses.peer) }
}

/// The port behind which a node is.
pub fn proxy_port(node: u64) -> u16 {
    8_000 + node as u16
}
