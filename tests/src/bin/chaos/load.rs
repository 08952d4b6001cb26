//! The load of a run: processes of `etebar load`, which write down every answer that they get.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use tests::Cluster;
use tests::machine::programs;
use tests::machine::spawner;

use crate::end::End;

/// How many processes charge.
const LOADS: u32 = 2;
/// How many charges each has under way at most.
const CONNECTIONS: u32 = 8;
/// How many sellers they charge for.
const SELLERS: u32 = 16;
/// Credit of each. Source: more than any load spends in the longest run: else the later faults fall on sellers who can charge nothing.
const CREDIT: &str = "1000000000000";
/// The most that a last fault and its end may take beyond the given time, in seconds. Source: to take all nodes to an older
/// build and back is six starts, each of which reads the whole history: 50 s with 3.4 million entries.
const LAST_FAULT_SECONDS: u64 = 600;

/// The processes and what they have written.
#[derive(Debug)]
pub(crate) struct Loads {
    work: PathBuf,
    processes: Vec<Child>,
    /// How far each record was counted, in bytes.
    counted: BTreeMap<PathBuf, u64>,
    answers: u64,
}

/// The client program as the admin of that cluster, which it may ask through any node.
pub(crate) fn as_admin(cluster: &Cluster) -> Command {
    let mut command = programs::clean_command(&programs::programs().client);
    command.env("ETEBAR_KEY", &cluster.admin_key).args(["--server", &cluster.servers()]);
    command
}

impl Drop for Loads {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Best effort: they end with this process in any case.
            process.kill().and_then(|()| process.wait()).ok();
        }
    }
}

impl Loads {
    /// Makes the sellers, and charges for them for so many seconds, or until [`Loads::end`].
    pub(crate) fn start(cluster: &Cluster, work: &Path, seconds: u64) -> Result<Loads, End> {
        let failed = |error: std::io::Error| End::failed(format!("the load: {error}"));
        let sellers = work.join("sellers");
        let mut prepare = as_admin(cluster);
        prepare.args(["load", "--prepare", &SELLERS.to_string(), "--credit", CREDIT, "--sellers-file"]).arg(&sellers);
        let made = prepare.output().map_err(failed)?;
        if !made.status.success() {
            return Err(End::failed(format!("the sellers: {}", String::from_utf8_lossy(&made.stderr).trim())));
        }
        let mut loads = Loads { work: work.to_owned(), processes: Vec::new(), counted: BTreeMap::new(), answers: 0 };
        for number in 1..=LOADS {
            let mut load = as_admin(cluster);
            load.args(["--json", "load", "--sellers-file"])
                .arg(&sellers)
                .args(["--processes-tag", &number.to_string()]);
            load.args(["--seconds", &(seconds + LAST_FAULT_SECONDS).to_string()]);
            load.args(["--connections", &CONNECTIONS.to_string()])
                .arg("--record")
                .arg(work.join(format!("record-{number}")));
            load.stdout(File::create(work.join(format!("load-{number}"))).map_err(failed)?);
            loads.processes.push(spawner::spawn(load).map_err(failed)?);
        }
        Ok(loads)
    }

    /// The records of all processes.
    pub(crate) fn records(&self) -> Vec<PathBuf> {
        (1..=LOADS).map(|number| self.work.join(format!("record-{number}"))).collect()
    }

    /// How many answers stand in the records; only what was added since the last call is read.
    pub(crate) fn answers(&mut self) -> u64 {
        for record in self.records() {
            let Ok(mut file) = File::open(&record) else { continue };
            let counted = self.counted.entry(record).or_default();
            let mut added = Vec::new();
            // What cannot be read now is counted at the next call.
            if file.seek(SeekFrom::Start(*counted)).is_ok() && file.read_to_end(&mut added).is_ok() {
                *counted += added.len() as u64;
                self.answers += added.split(|byte| *byte == b'\n').count() as u64 - 1;
            }
        }
        self.answers
    }

    /// How many answers were counted last.
    pub(crate) fn counted(&self) -> u64 {
        self.answers
    }

    /// Interrupts the processes, each of which must then end well.
    pub(crate) fn end(&mut self) -> Result<(), End> {
        for process in &self.processes {
            // The child was not waited for, so its number is still its own; one that has ended is found out below.
            kill_process(Pid::from_child(process), Signal::INT).ok();
        }
        for mut process in std::mem::take(&mut self.processes) {
            let status = process.wait().map_err(|error| End::failed(format!("the load: {error}")))?;
            if !status.success() {
                let said =
                    (1..=LOADS).filter_map(|number| fs::read_to_string(self.work.join(format!("load-{number}"))).ok());
                return Err(End::with(3, format!("a load process did not end well: {}", said.collect::<String>())));
            }
        }
        Ok(())
    }
}
