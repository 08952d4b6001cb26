//! The state of a simulated world: hosts, clients, links, clocks, faults and what ends them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etebar_node::runtime::Rt;
use etebar_node::storage::model::Dice;
use ledger::RULES_VERSION;
use turmoil::{Builder, Sim};

use crate::checks::Observer;
use crate::clients::{Session, Workload};
use crate::history::Recorder;
use crate::network::{CLIENTS_HOST, PROXY_NAME, host_name};
use crate::plan::{FaultKind, Plan};
use crate::world::host::Host;
use crate::world::operator::Operator;
use crate::world::proxy;

/// Simulated milliseconds so far, so that a stall is noticed.
pub static STEPS: AtomicU64 = AtomicU64::new(0);
/// How long connections may hang after a partition, in milliseconds: the simulated network does not send again what it lost.
const LINK_RECOVERY_MS: u64 = 3_000;

/// What ends a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The link between two hosts heals.
    HealLink(String, String),
    /// A node is started.
    Start(u64),
    /// A node's power is cut, and it is started a little later.
    Restart(u64),
    /// A node's disks are healthy again.
    HealDisks(u64),
    /// Random loss on links ends.
    EndLoss,
}

/// A simulated world with the faults that are in effect.
pub struct World<'a> {
    /// Hosts, links and time.
    pub sim: Sim<'a>,
    /// What the seed drew.
    pub plan: Plan,
    /// Entropy for faults.
    pub dice: Dice,
    /// The hosts of the nodes, in order.
    pub hosts: Vec<Host>,
    /// What was observed of them.
    pub observer: Observer,
    /// What happened.
    pub recorder: Recorder,
    /// What clients know.
    pub workload: Workload,
    /// The nodes that were target members at any time: the first ones, and those that were to be added.
    pub known_nodes: BTreeSet<u64>,
    /// The operator, who changes the membership.
    pub operator: Operator,
    /// Nodes that are lost permanently: their disks were corrupted or wiped.
    pub lost: BTreeSet<u64>,
    /// Nodes whose disk was made to fail: they may stop themselves.
    pub may_stop: BTreeSet<u64>,
    /// Faulty links.
    pub broken_links: BTreeSet<(String, String)>,
    /// When each fault ends, and how.
    pub scheduled: Vec<(u64, Recovery)>,
    /// When a link last healed.
    pub links_healed_ms: u64,
    /// Kinds of faults that wait for a transition of a node.
    pub triggers: Vec<FaultKind>,
    /// From when on the next triggered fault may be injected.
    pub next_trigger_ms: u64,
    /// How often each kind was injected.
    pub injected: BTreeMap<FaultKind, u64>,
    /// The newest rules that the ledger was seen to go by.
    pub rules_seen: u32,
    /// How far monotonic clocks ran ahead of time, all together: no node can know that.
    pub skipped_ms: u64,
}

impl World<'_> {
    /// A new world without faults.
    pub fn new(plan: &Plan) -> Self {
        let (recorder, workload) = (Recorder::default(), Workload::default());
        let mut sim = Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(Duration::from_millis(1))
            .simulation_duration(Duration::from_secs(100_000))
            .tcp_capacity(65_536)
            .max_message_latency(Duration::from_millis(plan.latency_ms))
            .repair_rate(0.05)
            .build();
        let hosts: Vec<Host> = (1..=plan.hosts()).map(|node| Host::new(node, plan, &recorder)).collect();
        for host in &hosts {
            add_host(&mut sim, host, plan.seed);
        }
        let (hosts_behind, roll) = (plan.hosts(), Dice::new(plan.seed, 3).roll());
        sim.host(PROXY_NAME, move || {
            Rt::scope(roll, async move {
                proxy::serve(hosts_behind).await;
                std::future::pending().await
            })
        });
        let clients = (plan.clone(), recorder.clone(), workload.clone());
        sim.host(CLIENTS_HOST, move || {
            let (plan, recorder, workload) = clients.clone();
            Rt::scope(Dice::new(plan.seed, 2).roll(), async move {
                for id in 0..plan.clients {
                    etebar_node::runtime::spawn(Session::new(id, &plan, &recorder, &workload).run());
                }
                std::future::pending().await
            })
        });
        Self {
            sim,
            plan: plan.clone(),
            dice: Dice::new(plan.seed, 0),
            hosts,
            observer: Observer::new(&recorder, plan.keys_max),
            recorder,
            workload,
            known_nodes: (1..=plan.nodes).collect(),
            operator: Operator::new(plan.nodes),
            lost: BTreeSet::new(),
            may_stop: BTreeSet::new(),
            broken_links: BTreeSet::new(),
            scheduled: Vec::new(),
            links_healed_ms: 0,
            triggers: Vec::new(),
            next_trigger_ms: 0,
            injected: BTreeMap::new(),
            rules_seen: if plan.old_builds { 1 } else { RULES_VERSION },
            skipped_ms: 0,
        }
    }

    /// A node's host.
    pub fn host(&self, node: u64) -> Host {
        self.hosts[node as usize - 1].clone()
    }

    /// Writes a line into the trace.
    pub fn trace(&self, what: String) {
        self.recorder.fault(what);
    }

    /// Any node.
    pub fn any_node(&mut self) -> u64 {
        self.some_nodes(1)[0]
    }

    /// So many nodes, in any order.
    pub fn some_nodes(&mut self, count: usize) -> Vec<u64> {
        let mut nodes: Vec<u64> = self.known_nodes.iter().copied().collect();
        let mut some = Vec::new();
        while some.len() < count && !nodes.is_empty() {
            some.push(nodes.swap_remove(self.dice.below(nodes.len() as u64) as usize));
        }
        some
    }

    /// Lets these kinds wait for a transition from now on.
    pub fn arm(&mut self, kinds: Vec<FaultKind>) {
        self.triggers = kinds;
    }

    /// Lets no kind wait any more; returns those that did.
    pub fn disarm(&mut self) -> Vec<FaultKind> {
        std::mem::take(&mut self.triggers)
    }

    /// Whether all nodes, links and clocks are healthy, and all members follow the leader.
    pub fn is_all_healthy(&self) -> bool {
        let are_links_healthy =
            self.broken_links.is_empty() && self.recorder.now_ms() > self.links_healed_ms + LINK_RECOVERY_MS;
        let furthest = self.hosts.iter().filter_map(Host::cluster).map(|cluster| cluster.applied()).max().unwrap_or(0);
        let is_healthy = |host: &Host| {
            !host.is_clock_wrong()
                && host
                    .cluster()
                    .map(|cluster| cluster.probe())
                    .is_some_and(|probe| probe.recovered && probe.applied + 2 >= furthest)
        };
        let members = &self.operator.target;
        let are_members_healthy = members.iter().all(|node| is_healthy(&self.hosts[*node as usize - 1]));
        let is_nothing_wrong = self.scheduled.is_empty() && self.lost.is_empty();
        are_links_healthy && is_nothing_wrong && are_members_healthy && self.operator.is_settled()
    }

    /// Schedules the end of a fault.
    pub fn schedule(&mut self, while_ms: u64, recovery: Recovery) {
        self.scheduled.push((self.recorder.now_ms() + while_ms, recovery));
    }
}

/// Adds the host to the simulation; each start has a seed of its own, or each would repeat the same time-outs.
fn add_host(sim: &mut Sim<'_>, host: &Host, seed: u64) {
    let boots = AtomicU64::new(0);
    let host = host.clone();
    sim.host(host_name(host.node), move || {
        let boot = boots.fetch_add(1, Ordering::Relaxed);
        let seed = Dice::new(seed, (host.node << 16) | boot).roll();
        Rt::scope(seed, host.clone().run(boot))
    });
}
