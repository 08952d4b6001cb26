//! The world of a run: members, clients, links and time; what is done to them, and how it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etebar_node::runtime::Rt;
use etebar_node::storage::model::{Dice, ModelDisks};
use turmoil::{Builder, Sim};

use crate::book::Book;
use crate::client::Session;
use crate::faults::{Kind, Undo};
use crate::host::{Host, Order, name};
use crate::market::Market;
use crate::operator::Operator;
use crate::proxy;
use crate::swarm::Plan;
use crate::watch::Watch;

/// The host of the clients.
pub const SHOP: &str = "shop";
/// Simulated milliseconds so far, for whoever watches that they go on.
pub static STEPS: AtomicU64 = AtomicU64::new(0);
/// Shortest pause between two crashes that wait for their moment.
const AIM_PAUSE_MS: u64 = 700;

/// Connections that a cut hurt hang for so long after it: the simulated network does not send again what it lost.
const LINKS_HANG_MS: u64 = 3_000;

/// See the head of this file.
pub struct World<'a> {
    /// Hosts, links and time.
    pub sim: Sim<'a>,
    /// What the seed drew.
    pub plan: Plan,
    /// Entropy for faults.
    pub dice: Dice,
    /// The members, in order.
    pub hosts: Vec<Host>,
    /// What is known of them.
    pub watch: Watch,
    /// What happened.
    pub book: Book,
    /// What clients know.
    pub market: Market,
    /// The members that take part, or did: the first ones, and those that were to be added.
    pub part: BTreeSet<u64>,
    /// The operator: who is to be a member.
    pub operator: Operator,
    /// Members that are lost for good: their disks rot or were wiped.
    pub lost: BTreeSet<u64>,
    /// Members whose disk was made to fail: they may stop themselves.
    excused: BTreeSet<u64>,
    /// Links that something is wrong with.
    pub broken_links: BTreeSet<(String, String)>,
    undo: Vec<(u64, Undo)>,
    /// When a link was last mended.
    pub mended_ms: u64,
    /// Kinds that wait for their moment.
    aims: Vec<Kind>,
    aimed_ms: u64,
    /// How often each kind was done.
    pub done: BTreeMap<Kind, u64>,
    /// How far monotonic clocks ran ahead of time, all together: what no node can know.
    pub leapt_ms: u64,
}

impl World<'_> {
    /// A new world, in which all is well.
    pub fn new(plan: &Plan) -> Self {
        let (book, market) = (Book::default(), Market::default());
        let mut sim = Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(Duration::from_millis(1))
            .simulation_duration(Duration::from_secs(100_000))
            .tcp_capacity(65_536)
            .max_message_latency(Duration::from_millis(plan.latency_ms))
            .repair_rate(0.05)
            .build();
        let hosts: Vec<Host> = (1..=plan.hosts()).map(|node| Host::new(node, plan, &book)).collect();
        for host in &hosts {
            raise(&mut sim, host, plan.seed);
        }
        let (hosts_behind, roll) = (plan.hosts(), Dice::new(plan.seed, 3).roll());
        sim.host(proxy::NAME, move || {
            Rt::scope(roll, async move {
                proxy::serve(hosts_behind).await;
                std::future::pending().await
            })
        });
        let clients = (plan.clone(), book.clone(), market.clone());
        sim.host(SHOP, move || {
            let (plan, book, market) = clients.clone();
            Rt::scope(Dice::new(plan.seed, 2).roll(), async move {
                for id in 0..plan.sessions {
                    etebar_node::runtime::spawn(Session::new(id, &plan, &book, &market).run());
                }
                std::future::pending().await
            })
        });
        Self {
            sim,
            plan: plan.clone(),
            dice: Dice::new(plan.seed, 0),
            hosts,
            watch: Watch::new(&book, plan.keys_max),
            book,
            market,
            part: (1..=plan.nodes).collect(),
            operator: Operator::new(plan.nodes),
            lost: BTreeSet::new(),
            excused: BTreeSet::new(),
            broken_links: BTreeSet::new(),
            undo: Vec::new(),
            mended_ms: 0,
            aims: Vec::new(),
            aimed_ms: 0,
            done: BTreeMap::new(),
            leapt_ms: 0,
        }
    }

    /// A member's host.
    pub fn host(&self, node: u64) -> Host {
        self.hosts[node as usize - 1].clone()
    }

    /// Writes into the story.
    pub fn tell(&self, what: String) {
        self.book.fault(what);
    }

    /// Any member.
    pub fn any_node(&mut self) -> u64 {
        self.some_nodes(1)[0]
    }

    /// So many members, in any order.
    pub fn some_nodes(&mut self, count: usize) -> Vec<u64> {
        let mut nodes: Vec<u64> = self.part.iter().copied().collect();
        let mut some = Vec::new();
        while some.len() < count && !nodes.is_empty() {
            some.push(nodes.swap_remove(self.dice.below(nodes.len() as u64) as usize));
        }
        some
    }

    /// Lets these kinds wait for their moments from now on.
    pub fn aim(&mut self, kinds: Vec<Kind>) {
        self.aims = kinds;
    }

    /// Lets no kind wait for its moment; those that did.
    pub fn take_aims(&mut self) -> Vec<Kind> {
        std::mem::take(&mut self.aims)
    }

    /// Whether nothing is wrong with any member, link or clock, and all members follow.
    pub fn is_all_well(&self) -> bool {
        let are_links_well = self.broken_links.is_empty() && self.book.now_ms() > self.mended_ms + LINKS_HANG_MS;
        let furthest = self.hosts.iter().filter_map(Host::cluster).map(|cluster| cluster.applied()).max().unwrap_or(0);
        let is_well = |host: &Host| {
            !host.is_clock_wrong()
                && host
                    .cluster()
                    .map(|cluster| cluster.probe())
                    .is_some_and(|probe| probe.recovered && probe.applied + 2 >= furthest)
        };
        let members = &self.operator.wanted;
        let are_members_well = members.iter().all(|node| is_well(&self.hosts[*node as usize - 1]));
        let is_nothing_wrong = self.undo.is_empty() && self.lost.is_empty();
        are_links_well && is_nothing_wrong && are_members_well && self.operator.is_content()
    }

    /// Ends a fault after a while.
    pub fn later(&mut self, while_ms: u64, undo: Undo) {
        self.undo.push((self.book.now_ms() + while_ms, undo));
    }

    /// Lets time pass, as long as no promise is broken.
    pub fn step_for(&mut self, time: Duration) {
        let until_ms = self.book.now_ms() + time.as_millis() as u64;
        while self.book.now_ms() < until_ms && !self.book.is_broken() {
            self.step();
        }
    }

    /// One millisecond.
    pub fn step(&mut self) {
        let stepped = self.sim.step();
        let now_ms = self.sim.elapsed().as_millis() as u64;
        self.book.set_now_ms(now_ms);
        STEPS.store(now_ms, Ordering::Relaxed);
        if let Err(error) = stepped {
            return self.book.broken(format!("a host failed: {error}"));
        }
        if now_ms.is_multiple_of(100) {
            for host in &self.hosts {
                host.clock_off_ms.fetch_add(host.clock_drift_ms.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        for place in 0..self.hosts.len() {
            self.look_at(place as u64 + 1);
        }
        self.undo_what_is_due();
        self.operate();
    }

    fn look_at(&mut self, node: u64) {
        let host = &self.hosts[node as usize - 1];
        let Some(cluster) = host.cluster() else { return self.hear_end(node) };
        let moment = self.watch.look(node, &cluster);
        self.operator.look(self.watch.members_index(node), &cluster);
        drop(cluster);
        self.hear_end(node);
        if self.aims.is_empty() || self.book.now_ms() < self.aimed_ms {
            return;
        }
        let is_now = |kind: &Kind| match kind {
            Kind::CrashAfterVote => moment.voted,
            Kind::CrashAfterTruncation => moment.truncated,
            Kind::CrashAfterWrite => moment.leads_unflushed,
            _ => false,
        };
        let Some(kind) = self.aims.iter().copied().find(is_now) else { return };
        let is_rare = kind != Kind::CrashAfterWrite;
        if self.dice.once_in(if is_rare { 2 } else { 30 }) {
            self.aimed_ms = self.book.now_ms() + AIM_PAUSE_MS;
            let while_ms = self.dice.between(1, 300);
            self.crash_and_boot(node, while_ms);
            *self.done.entry(kind).or_default() += 1;
        }
    }

    /// A member that ended by itself did so for a reason, or a promise is broken.
    fn hear_end(&mut self, node: u64) {
        let Some(why) = self.hosts[node as usize - 1].life().ended.take() else { return };
        self.tell(format!("member {node}: {why}"));
        let is_asked = why.ends_with("it was told to");
        if self.lost.contains(&node) {
            self.power_off(node);
        } else if is_asked || self.excused.contains(&node) {
            let while_ms = self.dice.between(20, 1_000);
            self.later(while_ms, Undo::Restart(node));
        } else {
            self.book.broken(format!("member {node}: {why}"));
        }
    }

    fn undo_what_is_due(&mut self) {
        let now_ms = self.book.now_ms();
        let (due, later) = std::mem::take(&mut self.undo).into_iter().partition(|(due, _)| *due <= now_ms);
        self.undo = later;
        for (_, undo) in due {
            self.end(undo);
        }
    }

    fn end(&mut self, undo: Undo) {
        match undo {
            Undo::Mend(one, other) => self.mend(&one, &other),
            Undo::Boot(node) => self.boot(node),
            Undo::Restart(node) => {
                self.crash(node);
                self.boot(node);
            }
            Undo::HealDisks(node) => {
                if !self.excused.contains(&node) {
                    self.host(node).heal_disks();
                }
            }
            Undo::NoLoss => self.end_loss(),
        }
    }

    // ---- members

    /// Whether the host runs, with a member on it or not.
    pub fn is_up(&mut self, node: u64) -> bool {
        self.sim.is_host_running(name(node))
    }

    /// Ends a member's process.
    pub fn power_off(&mut self, node: u64) {
        let host = self.host(node);
        self.sim.crash(name(node));
        self.watch.went_down(node);
        *host.life() = crate::host::Life::default();
    }

    /// Cuts a member's power.
    pub fn crash(&mut self, node: u64) {
        if !self.is_up(node) {
            return;
        }
        self.tell(format!("member {node} loses power"));
        self.power_off(node);
        let host = self.host(node);
        host.boots.fetch_add(1, Ordering::Relaxed);
        host.disks().into_iter().for_each(|disks| disks.cut(&mut self.dice));
        self.excused.remove(&node);
        host.heal_disks();
    }

    /// Starts a member that is down.
    pub fn boot(&mut self, node: u64) {
        let is_rotten = self.lost.contains(&node) && self.host(node).wipes.load(Ordering::Relaxed) == 0;
        if self.is_up(node) || (is_rotten && self.dice.once_in(2)) {
            return;
        }
        self.tell(format!("member {node} starts"));
        self.sim.bounce(name(node));
    }

    /// Cuts a member's power for a while; `false` where it is down.
    pub fn crash_and_boot(&mut self, node: u64, while_ms: u64) -> bool {
        if !self.is_up(node) {
            return false;
        }
        self.crash(node);
        self.later(while_ms, Undo::Boot(node));
        true
    }

    /// Tells a member to do something; `false` where it does not run.
    pub fn order(&mut self, node: u64, order: Order) -> bool {
        let host = self.host(node);
        let runs = host.cluster().is_some();
        if runs {
            self.tell(format!("member {node} is told: {order:?}"));
            if let Order::Leap(time) = &order {
                self.leapt_ms += time.as_millis() as u64;
            }
            host.order(order);
        }
        runs
    }

    /// Sets a member's wall clock, right or wrong.
    pub fn set_clock(&mut self, node: u64) -> bool {
        let most = self.plan.jump_ms;
        let to = self.dice.between(0, 2 * most) as i64 - most as i64;
        let to = if self.dice.once_in(3) { 0 } else { to };
        let drift = if self.dice.once_in(3) { self.dice.between(0, 60) as i64 - 30 } else { 0 };
        self.set_clock_to(node, to, drift)
    }

    /// Sets a member's wall clock, to be so far off and to get further off in each tenth of a second. A wrong one of another
    /// member is set right first, unless the seed has many wrong ones.
    pub fn set_clock_to(&mut self, node: u64, to: i64, drift: i64) -> bool {
        if !self.plan.many_wrong_clocks {
            for host in self.hosts.iter().filter(|host| host.node != node && host.is_clock_wrong()) {
                self.tell(format!("the clock of member {} is set right", host.node));
                host.set_clock(0, 0);
            }
        }
        self.tell(format!("the clock of member {node} is set to be off by {to} ms, and by {drift} more each 100 ms"));
        self.host(node).set_clock(to, drift);
        true
    }

    // ---- disks

    /// Lets a member's disk fail for good; it may stop itself, and is started again with a good one.
    pub fn break_disk(&mut self, node: u64, what: &str, how: impl Fn(&ModelDisks)) -> bool {
        if !self.is_up(node) || self.lost.contains(&node) {
            return false;
        }
        self.tell(format!("member {node}: {what}"));
        self.excused.insert(node);
        let which = self.dice.below(2) as usize;
        how(self.host(node).disks()[which]);
        let while_ms = self.dice.between(500, 3_000);
        self.later(while_ms, Undo::Restart(node));
        true
    }

    fn may_lose(&self, node: u64) -> bool {
        !self.lost.contains(&node) && self.lost.len() < self.plan.nodes as usize - self.plan.majority()
    }

    /// Flips a bit of what a member has on its disks.
    pub fn rot(&mut self, node: u64) -> bool {
        if !self.may_lose(node) {
            return false;
        }
        let host = self.host(node);
        let which = self.dice.below(2) as usize;
        let Some((disk, _key)) = host.disks()[which].rot(&mut self.dice) else { return false };
        self.tell(format!("member {node}: a bit flips on disk {disk}"));
        self.lost.insert(node);
        let while_ms = self.dice.between(10, 2_000);
        self.later(while_ms, Undo::Restart(node));
        true
    }

    /// Replaces a member's disks by empty ones; it comes back under its old number.
    pub fn wipe_disks(&mut self, node: u64) {
        self.crash(node);
        self.tell(format!("the disks of member {node} are wiped"));
        let host = self.host(node);
        host.disks().into_iter().for_each(ModelDisks::wipe);
        host.wipes.fetch_add(1, Ordering::Relaxed);
        self.lost.insert(node);
        self.watch.was_wiped(node);
        self.boot(node);
    }

    // ---- the end of faults

    /// Nothing more happens by itself.
    pub fn stop_faults(&mut self) {
        self.aims.clear();
        self.undo.retain(|(_, undo)| matches!(undo, Undo::Restart(_)));
        self.end_loss();
    }

    /// Brings these members back, with good disks, clocks and links among themselves and to the clients.
    pub fn mend_all_of(&mut self, nodes: &[u64]) {
        let names: Vec<String> = nodes.iter().map(|node| name(*node)).chain([SHOP.to_owned()]).collect();
        for (one, other) in std::mem::take(&mut self.broken_links) {
            if names.contains(&one) && names.contains(&other) {
                self.sim.release(one.as_str(), other.as_str());
                self.sim.repair(one.as_str(), other.as_str());
            } else {
                self.broken_links.insert((one, other));
            }
        }
        for node in nodes {
            self.host(*node).set_clock(0, 0);
            if self.excused.contains(node) {
                self.crash(*node);
            }
            self.host(*node).heal_disks();
            self.boot(*node);
        }
    }

    /// Keeps a member away from all others for good.
    pub fn cut_away(&mut self, node: u64) {
        if self.dice.once_in(2) {
            self.crash(node);
        }
        for other in (1..=self.plan.hosts()).filter(|other| *other != node) {
            self.cut(&name(node), &name(other), u64::from(u32::MAX));
        }
    }
}

/// Gives the host to the simulation; each boot has a seed of its own, or each would repeat the same time-outs.
fn raise(sim: &mut Sim<'_>, host: &Host, seed: u64) {
    let boots = AtomicU64::new(0);
    let host = host.clone();
    sim.host(name(host.node), move || {
        let boot = boots.fetch_add(1, Ordering::Relaxed);
        let seed = Dice::new(seed, (host.node << 16) | boot).roll();
        Rt::scope(seed, host.clone().live(boot))
    });
}
