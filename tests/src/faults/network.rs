//! A network of its own for each node, and what goes wrong between them: network namespaces on one bridge, and nftables in
//! each. Needs root, `ip`, `nsenter` and `nft`.
//!
//! The process that makes them must be in a network and a mount namespace of its own (`unshare --net --mount`): then
//! nothing of this reaches the machine's network, and all of it ends with the process. Callers at [`CALLERS`] are never cut
//! off by these faults; nodes from each other are.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::machine::programs;

/// The address of this process and its load on the bridge.
pub const CALLERS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);
/// All nodes, as nftables names them.
const PEERS: &str = "10.77.0.1-10.77.0.9";

/// The networks of some nodes.
#[derive(Debug)]
pub struct Network(());

/// The address of a node.
#[must_use]
pub fn host(id: u64) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(id).expect("a small id"))
}

/// A command that replaces itself by what its further arguments say, in a node's network. Not by `ip netns exec`, which also
/// copies all mounts: a disk would then stay in use by every process that was started while it was mounted.
pub fn command(id: u64) -> Command {
    let mut command = programs::clean_command("nsenter");
    command.arg(format!("--net=/run/netns/{}", name(id)));
    command
}

impl Network {
    /// Makes one for each of so many nodes.
    #[track_caller]
    pub fn make(nodes: u64) -> Network {
        // Namespaces get their names in /run, which is then this process's alone.
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]));
        ip("link set lo up");
        ip("link add bridge0 type bridge");
        ip(&format!("addr add {CALLERS}/24 dev bridge0"));
        ip("link set bridge0 up");
        let network = Network(());
        for id in 1..=nodes {
            let (name, address) = (name(id), host(id));
            ip(&format!("netns add {name}"));
            ip(&format!("link add link{id} type veth peer name eth0 netns {name}"));
            ip(&format!("link set link{id} master bridge0 up"));
            ip(&format!("-n {name} addr add {address}/24 dev eth0"));
            ip(&format!("-n {name} link set eth0 up"));
            ip(&format!("-n {name} link set lo up"));
            rules(
                id,
                "table inet faults { chain in { type filter hook input priority 0; }; \
                 chain out { type filter hook output priority 0; }; }",
            );
        }
        network
    }

    /// Nothing of its peers reaches it any more.
    pub fn cut_in(&self, id: u64) {
        rules(id, &format!("add rule inet faults in iif != lo ip saddr {PEERS} drop"));
    }

    /// Nothing of it reaches its peers any more.
    pub fn cut_out(&self, id: u64) {
        rules(id, &format!("add rule inet faults out oif != lo ip daddr {PEERS} drop"));
    }

    /// Nothing passes between it and one peer any more.
    pub fn cut_between(&self, id: u64, peer: u64) {
        let peer = host(peer);
        rules(id, &format!("add rule inet faults in ip saddr {peer} drop"));
        rules(id, &format!("add rule inet faults out ip daddr {peer} drop"));
    }

    /// Of what passes between it and its peers so many of a hundred packets are lost, each way.
    pub fn lose(&self, id: u64, percent: u32) {
        let lost = format!("numgen random mod 100 < {percent} drop");
        rules(id, &format!("add rule inet faults in iif != lo ip saddr {PEERS} {lost}"));
        rules(id, &format!("add rule inet faults out oif != lo ip daddr {PEERS} {lost}"));
    }

    /// Takes all its faults away.
    pub fn heal(&self, id: u64) {
        rules(id, "flush table inet faults");
    }

    /// Its connections to these ports of its peers go to a port of its own instead, but for packets with this mark.
    pub fn redirect(&self, id: u64, ports: (u16, u16), to: u16, mark: u32) {
        let (first, last) = ports;
        rules(
            id,
            &format!(
                "table ip delay {{ chain out {{ type nat hook output priority -100; \
                 ip daddr {PEERS} tcp dport {first}-{last} meta mark != {mark} redirect to :{to}; }}; }}"
            ),
        );
    }
}

#[track_caller]
fn rules(id: u64, rules: &str) {
    run(command(id).args(["nft", rules]));
}

fn name(id: u64) -> String {
    format!("node-{id}")
}

#[track_caller]
fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
