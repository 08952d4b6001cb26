//! A run: the cluster, its load, and what every fault uses to break and to heal.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tests::Node;
use tests::faults::network::Network;
use tests::load::dice::Dice;
use tests::machine::disk::Disk;
use tests::machine::spawner;
use tests::wait::{let_pass, within};
use tests::{Cluster, Plan};

use crate::arguments::Arguments;
use crate::end::End;
use crate::faults::catalogue::{Fault, Needs};
use crate::load::Loads;
use crate::machine::Machine;

/// The cluster's folder below the work's.
pub(crate) const CLUSTER: &str = "cluster";
/// How long charges may fail after a fault is healed. Source: an election with two failed rounds takes 2 s; a start after a
/// power cut recovers a file system and replays the history.
const BACK: Duration = Duration::from_secs(30);
/// Charges that show that they succeed again.
const BACK_CHARGES: u64 = 20;
/// Longest time until a node answers after its start. Source: a node replays its history first, a second for a million charges.
pub(crate) const START: Duration = Duration::from_mins(1);
/// Longest time until a node ends after SIGTERM.
const STOP: Duration = Duration::from_secs(15);
/// Longest time without a leader.
const LEADER: Duration = Duration::from_secs(10);
/// Size of each node's disk, in MiB.
const DISK_MEBIBYTES: u64 = 1024;
/// Where the proxy of each node listens that delays what it sends to its peers.
const PROXY_PORT: u16 = 7990;
/// The mark of the proxy's own packets, see `delay-proxy`.
const PROXY_MARK: u32 = 77;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Run {
    pub seed: u64,
    pub dice: Dice,
    // Dropped in this order: processes first, then the disks that they use.
    pub loads: Loads,
    pub cluster: Cluster,
    /// Of each node in order; empty where nothing can be mounted.
    pub disks: Vec<Disk>,
    pub network: Option<Network>,
    pub previous: Option<PathBuf>,
    pub work: PathBuf,
    /// When the load began.
    pub begun: Instant,
    /// The fault of now, or the last.
    what: String,
    what_at_ms: u64,
}

impl Run {
    /// Makes and starts the cluster and its load.
    pub(crate) fn start(arguments: &Arguments, machine: &Machine, work: PathBuf) -> Result<Run, End> {
        let network = machine.has(Needs::Networks).then(|| Network::make(arguments.nodes));
        let disk = |id: u64| Disk::named(&work, &format!("disk-{id}"), DISK_MEBIBYTES);
        let disks: Vec<Disk> =
            if machine.has(Needs::Disks) { (1..=arguments.nodes).map(disk).collect() } else { Vec::new() };
        let mut plan = Plan::new(CLUSTER).nodes(arguments.nodes).below(&work);
        if network.is_some() {
            // These networks are this program's alone, so its load needs no TLS to reach the nodes in theirs.
            plan = plan.in_network().setting("ETEBAR_API_PLAINTEXT", "true");
        }
        if !disks.is_empty() {
            plan = plan.data_below_each(disks.iter().map(|disk| disk.path().to_owned()).collect());
        }
        if machine.has(Needs::DiskFaults) {
            plan = plan.disk_faults();
        }
        if machine.has(Needs::Clocks) {
            plan = plan.clocks();
        }
        let cluster = plan.init(None);
        if let Some(network) =
            network.as_ref().filter(|_| arguments.faults.is_empty() || arguments.faults.contains(&Fault::Delay))
        {
            start_proxies(network, &cluster, &work)?;
        }
        cluster.start_all();
        File::create(work.join("marks")).map_err(|error| End::failed(format!("the marks: {error}")))?;
        let loads = Loads::start(&cluster, &work, arguments.seconds)?;
        Ok(Run {
            seed: arguments.seed,
            dice: Dice(arguments.seed),
            loads,
            cluster,
            disks,
            network,
            previous: machine.previous.clone(),
            work,
            begun: Instant::now(),
            what: "the start".to_owned(),
            what_at_ms: now_ms(),
        })
    }

    pub(crate) fn node(&self, id: u64) -> &Node {
        self.cluster.node(id)
    }

    /// The disk of a node, where each has one.
    pub(crate) fn disk(&self, id: u64) -> &Disk {
        let (_, disk) = (1..).zip(&self.disks).find(|(of, _)| *of == id).expect("each node has a disk");
        disk
    }

    /// The leader, or in one case of three a random node.
    pub(crate) fn pick(&mut self) -> Result<u64, End> {
        if self.dice.below(3) == 0 {
            let ids = self.cluster.ids();
            return Ok(ids[self.dice.index(ids.len())]);
        }
        within(LEADER, || self.cluster.leader_now()).ok_or_else(|| End::failed("no leader within 10 s"))
    }

    /// Lets a fault last for 1 to 3 s.
    pub(crate) fn last(&mut self) {
        let tenths = 10 + self.dice.below(20);
        let_pass(Duration::from_millis(100 * tenths));
    }

    /// Says which fault begins.
    pub(crate) fn began(&mut self, what: impl Into<String>) {
        self.what = what.into();
        self.what_at_ms = now_ms();
        println!("{:4} s  {}", self.begun.elapsed().as_secs(), self.what);
    }

    /// A promise is broken, as a fault itself saw.
    pub(crate) fn broken(&self, what: impl AsRef<str>) -> End {
        End::with(4, format!("A PROMISE IS BROKEN: {} (seed {})", what.as_ref(), self.seed))
    }

    /// The fault is over: waits until charges go through again, and marks when it was for the drawing.
    pub(crate) fn healed(&mut self) -> Result<(), End> {
        let until_ms = now_ms();
        self.charges_are_back()?;
        let mark = json!({"at_ms": self.what_at_ms, "until_ms": until_ms, "what": self.what});
        let written =
            OpenOptions::new().append(true).open(self.marks()).and_then(|mut marks| writeln!(marks, "{mark}"));
        written.map_err(|error| End::failed(format!("the marks: {error}")))
    }

    /// What was done to the cluster, for the drawing.
    pub(crate) fn marks(&self) -> PathBuf {
        self.work.join("marks")
    }

    /// Waits until charges go through again, as seen in the records.
    pub(crate) fn charges_are_back(&mut self) -> Result<(), End> {
        let before = self.loads.answers();
        let loads = &mut self.loads;
        within(BACK, || (loads.answers() > before + BACK_CHARGES).then_some(())).ok_or_else(|| {
            let (what, seed, seconds) = (&self.what, self.seed, BACK.as_secs());
            End::with(3, format!("CHARGES DID NOT COME BACK within {seconds} s after: {what} (seed {seed})"))
        })
    }

    /// Starts these nodes, and waits until each answers.
    pub(crate) fn bring_back(&self, ids: &[u64]) -> Result<(), End> {
        for id in ids {
            self.node(*id).launch();
        }
        for id in ids {
            let node = self.node(*id);
            let lives = || node.quick("/livez").is_some_and(|answer| answer.status == 200);
            let ended = within(START, || (lives() || !node.runs()).then(|| !node.runs()));
            if ended != Some(false) {
                return Err(End::failed(format!("node {id} did not start: {}", node.log_tail(2))));
            }
        }
        Ok(())
    }

    /// Ends these nodes in an orderly way, all at once; one that does not end in time is killed, and that is said.
    pub(crate) fn stop(&self, ids: &[u64]) {
        let running = || ids.iter().map(|id| self.node(*id)).filter(|node| node.runs());
        running().for_each(|node| node.signal(Signal::TERM));
        for node in running() {
            if within(STOP, || (!node.runs()).then_some(())).is_none() {
                eprintln!("node {} did not end within {} s and was killed", node.id, STOP.as_secs());
            }
        }
        for id in ids {
            self.node(*id).kill();
        }
    }

    /// Waits until this node is ready; whether it became so in time.
    pub(crate) fn is_ready(&self, id: u64) -> bool {
        let node = self.node(id);
        let ready = || node.quick("/readyz").is_some_and(|answer| answer.status == 200);
        within(START, || (ready() || !node.runs()).then(ready)).unwrap_or(false)
    }

    /// Lets the proxy of this node delay what it sends by so many milliseconds, at least and at most.
    pub(crate) fn delay(&self, id: u64, least_ms: u64, most_ms: u64) -> Result<(), End> {
        set_delay(&self.work, id, least_ms, most_ms)
    }
}

/// Milliseconds since the Unix epoch, as in the records of `etebar load`.
fn now_ms() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Every connection of a node to its peers goes through a proxy, which passes everything on at once until a delay is set.
fn start_proxies(network: &Network, cluster: &Cluster, work: &Path) -> Result<(), End> {
    let failed = |error: std::io::Error| End::failed(format!("the proxy: {error}"));
    let program = std::env::current_exe().map_err(failed)?.with_file_name("delay-proxy");
    let ids = cluster.ids();
    let ports = (cluster.peer_port(ids[0]), cluster.peer_port(ids[ids.len() - 1]));
    for id in ids {
        set_delay(work, id, 0, 0)?;
        network.redirect(id, ports, PROXY_PORT, PROXY_MARK);
        let mut proxy = tests::faults::network::command(id);
        proxy.arg(&program).arg(PROXY_PORT.to_string()).arg(delay_file(work, id));
        proxy.stderr(OpenOptions::new().create(true).append(true).open(work.join("proxies")).map_err(failed)?);
        // It ends with this process.
        drop(spawner::spawn(proxy).map_err(failed)?);
    }
    Ok(())
}

fn delay_file(work: &Path, id: u64) -> PathBuf {
    work.join(format!("delay-{id}"))
}

fn set_delay(work: &Path, id: u64, least_ms: u64, most_ms: u64) -> Result<(), End> {
    let written = fs::write(delay_file(work, id), format!("{least_ms} {most_ms}\n"));
    written.map_err(|error| End::failed(format!("the delay of node {id}: {error}")))
}
