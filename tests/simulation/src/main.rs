//! A deterministic simulation: three members in one thread, on a simulated network, clock and disk, while hosts lose
//! power, links break and messages are held. Exit 0 where every promise held, 4 where one was broken.
//!
//! Usage: simulation SEED [SECONDS]. The same seed tells the same story, in a process of its own.

#[cfg(not(tokio_unstable))]
compile_error!("run cargo inside tests/simulation: its .cargo/config.toml sets a flag that makes runs repeatable");

mod dice;
mod disk;
mod host;
mod story;

use std::process::ExitCode;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etebar_node::runtime::Rt;
use turmoil::{Builder, Sim};

use crate::dice::Dice;
use crate::disk::Folder;
use crate::host::{Host, name};
use crate::story::{Story, check};

/// Longest wait for all members to agree after the last fault.
const HEALING: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .without_time()
        .with_ansi(false)
        .init();
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(seed)), seconds) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: simulation SEED [SECONDS]");
        return ExitCode::from(2);
    };
    let Ok(seconds) = seconds.unwrap_or(Ok(20)) else {
        eprintln!("usage: simulation SEED [SECONDS]");
        return ExitCode::from(2);
    };
    let (summary, broken) = run(seed, Duration::from_secs(seconds));
    println!("seed {seed}: {summary}");
    for promise in &broken {
        println!("BROKEN: {promise}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(4) }
}

/// Tells one story; its summary, which repeats itself, and the promises that it broke.
fn run(seed: u64, length: Duration) -> (String, Vec<String>) {
    let mut dice = Dice::new(seed, 0);
    let story = Story::default();
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(1))
        .simulation_duration(length + HEALING * 2)
        .tcp_capacity(65_536)
        .max_message_latency(Duration::from_millis(5))
        .build();
    let hosts: Vec<Host> = (1..=3).map(|node| new_host(seed, node, &story)).collect();
    for host in &hosts {
        raise(&mut sim, host);
    }
    let mut world = World { sim, hosts, down: [false; 3], faults: 0 };
    while world.sim.elapsed() < length {
        let calm = Duration::from_millis(dice.between(50, 1_500));
        world.step_for(calm, &story);
        world.fault(&mut dice);
    }
    world.heal();
    let agreed = world.wait_for_agreement(&story);
    if let Some(member) = world.member(0) {
        check(&story, &member);
    }
    let told = story.told();
    let summary = format!(
        "{} acknowledged, {} unknown, {} reads, {} faults, {} ms, {agreed}",
        told.acknowledged.len(),
        told.unknown,
        told.reads,
        world.faults,
        world.sim.elapsed().as_millis(),
    );
    (summary, told.broken.clone())
}

fn new_host(seed: u64, node: u64, story: &Story) -> Host {
    Host {
        node,
        seed,
        log: Folder::new(Dice::new(seed, 100 + node)),
        history: Folder::new(Dice::new(seed, 200 + node)),
        story: story.clone(),
        running: std::sync::Arc::default(),
    }
}

/// Gives the host to the simulation; each boot has a seed of its own, or each would repeat the same time-outs.
fn raise(sim: &mut Sim<'_>, host: &Host) {
    let boots = AtomicU64::new(0);
    let host = host.clone();
    sim.host(name(host.node), move || {
        let boot = boots.fetch_add(1, Ordering::Relaxed);
        let seed = Dice::new(host.seed, (host.node << 16) | boot).next();
        Rt::scope(seed, host.clone().live(boot))
    });
}

struct World<'a> {
    sim: Sim<'a>,
    hosts: Vec<Host>,
    down: [bool; 3],
    faults: u64,
}

impl World<'_> {
    fn step_for(&mut self, time: Duration, story: &Story) {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            if let Err(error) = self.sim.step() {
                story.told().broken.push(format!("at {:?}: {error}", self.sim.elapsed()));
                return;
            }
        }
    }

    fn member(&self, place: usize) -> Option<etebar_node::raft::Cluster> {
        self.hosts[place].running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One fault, or the end of one.
    fn fault(&mut self, dice: &mut Dice) {
        self.faults += 1;
        let place = dice.below(3) as usize;
        let (this, other) = (name(place as u64 + 1), name((place as u64 + 1) % 3 + 1));
        match dice.below(8) {
            0..=2 if self.down[place] => self.boot(place),
            0..=2 => self.cut_power(place),
            3 => self.sim.partition(this, other),
            4 => self.sim.partition_oneway(this, other),
            5 => self.sim.hold(this, other),
            6 => {
                self.sim.release(this.clone(), other.clone());
                self.sim.repair(this, other);
            }
            _ => self.heal(),
        }
    }

    fn cut_power(&mut self, place: usize) {
        let host = &self.hosts[place];
        self.sim.crash(name(host.node));
        *host.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        host.log.cut();
        host.history.cut();
        self.down[place] = true;
    }

    fn boot(&mut self, place: usize) {
        self.sim.bounce(name(self.hosts[place].node));
        self.down[place] = false;
    }

    fn heal(&mut self) {
        for (this, other) in [(1, 2), (2, 3), (3, 1)] {
            self.sim.release(name(this), name(other));
            self.sim.repair(name(this), name(other));
        }
        for place in 0..3 {
            if self.down[place] {
                self.boot(place);
            }
        }
    }

    /// Waits until all members have one digest at one position.
    fn wait_for_agreement(&mut self, story: &Story) -> String {
        let deadline = self.sim.elapsed() + HEALING;
        while self.sim.elapsed() < deadline {
            self.step_for(Duration::from_millis(20), story);
            let members: Option<Vec<_>> = (0..3).map(|place| self.member(place)).collect();
            let Some(members) = members else { continue };
            let position = members.iter().map(|member| member.applied()).min().unwrap_or(0);
            let digests: Vec<_> = members.iter().map(|member| member.digest_at(position)).collect();
            let Some(Some(digest)) = digests.first().copied() else { continue };
            if digests.iter().any(|one| one.is_some_and(|one| one != digest)) {
                story.told().broken.push(format!("digests differ at position {position}"));
                return "no agreement".to_owned();
            }
            let is_past = members.iter().all(|member| member.replica().state.records() >= story.told().furthest);
            if is_past && digests.iter().all(Option::is_some) {
                return format!("digest {digest} at {position}");
            }
        }
        story.told().broken.push("the members did not come together again".to_owned());
        "no agreement".to_owned()
    }
}
