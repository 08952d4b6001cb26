//! Disks that lose their power, fill up, stall, fail and tear; see `tests/shim/disk_faults.c` for what a loaded library plays.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::Node;
use tests::faults::failing_disk::DiskFault;
use tests::machine::disk::{self, Disk};
use tests::wait::within;

use super::process::listed;
use crate::end::End;
use crate::run::Run;

/// Bytes that a full disk has left. Source: half of the 64 MiB that a node keeps in reserve unless the operator chose otherwise.
const LEFT: u64 = 32 << 20;
/// Longest time until a node says that its disk is full, or ends because its syncs fail.
const NOTICED: Duration = Duration::from_secs(10);
/// Longest time without a write of a node.
const WRITTEN: Duration = Duration::from_secs(20);

pub(crate) fn cut_power(run: &mut Run) -> Result<(), End> {
    run.began("power of all cut");
    run.disks.iter().for_each(Disk::cut);
    run.cluster.kill_all();
    run.disks.iter().for_each(Disk::restore);
    run.bring_back(&run.cluster.ids())
}

/// The disk of one, or of all, is full: new charges are refused, and the nodes run on.
pub(crate) fn fill_disk(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    let victims = if run.dice.below(2) == 0 { vec![id] } else { run.cluster.ids() };
    run.began(format!("disk of node {} full", listed(&victims)));
    let disks: Vec<_> = victims.iter().map(|id| run.disk(*id).path().to_owned()).collect();
    let failed = |what: &str, error: std::io::Error| End::failed(format!("{what}: {error}"));
    for folder in &disks {
        let file = File::create(folder.join("filling")).map_err(|error| failed("a disk cannot be filled", error))?;
        disk::fill(&file, folder, LEFT);
    }
    for id in &victims {
        let node = run.node(*id);
        if within(NOTICED, || says_full(node).then_some(())).is_none() {
            let said = node.quick("/readyz").map(|answer| answer.text()).unwrap_or_default();
            return Err(run.broken(format!("node {id} does not say that its disk is full: {said}")));
        }
    }
    run.last();
    for folder in &disks {
        fs::remove_file(folder.join("filling")).map_err(|error| failed("a disk cannot be emptied", error))?;
        // Else a power cut soon after brings the file back, and the disk stays full permanently.
        sync(folder)?;
    }
    Ok(())
}

fn says_full(node: &Node) -> bool {
    node.quick("/readyz").is_some_and(|answer| answer.text().contains("no room"))
}

pub(crate) fn stall_disk(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("disk of node {id} stalls"));
    ail_for_a_while(run, id, DiskFault::Stall);
    Ok(())
}

pub(crate) fn slow_disk(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    let slower = 20 + run.dice.below(80);
    run.began(format!("disk of node {id} slower by {slower} ms"));
    ail_for_a_while(run, id, DiskFault::Slow(slower));
    Ok(())
}

fn ail_for_a_while(run: &mut Run, id: u64, fault: DiskFault) {
    run.node(id).set_disk_fault(fault);
    run.last();
    run.node(id).set_disk_fault(DiskFault::None);
}

/// The node must stop by itself, at once, and say why.
pub(crate) fn fail_sync(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("syncs of node {id} fail"));
    let node = run.node(id);
    node.set_disk_fault(DiskFault::FailSync);
    if within(NOTICED, || (!node.runs()).then_some(())).is_none() {
        return Err(run.broken(format!("node {id} runs on, though its syncs fail")));
    }
    let says_why = |line: &str| line.starts_with("etebar-node: node stopped: ") && line.contains("Input/output error");
    if !node.log_tail(50).lines().any(says_why) {
        return Err(run.broken(format!("node {id} does not say why it stopped: {}", node.log_tail(1))));
    }
    node.kill();
    node.set_disk_fault(DiskFault::None);
    run.bring_back(&[id])
}

/// A write stops in its middle, and the process with it.
pub(crate) fn tear_write(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("a write of node {id} torn"));
    run.node(id).set_disk_fault(DiskFault::Tear);
    if within(WRITTEN, || (!run.node(id).runs()).then_some(())).is_none() {
        return Err(run.broken(format!("node {id} wrote nothing for {} s", WRITTEN.as_secs())));
    }
    run.node(id).kill();
    run.node(id).set_disk_fault(DiskFault::None);
    run.last();
    run.bring_back(&[id])
}

/// Puts all that a file system holds onto its disk.
pub(crate) fn sync(folder: &Path) -> Result<(), End> {
    match Command::new("sync").arg("-f").arg(folder).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err(End::failed(format!("{} cannot be synced", folder.display()))),
    }
}
