//! Data that are not as their node left them: bytes turned over, or gone.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::wait::within;

use super::disk::sync;
use crate::end::End;
use crate::run::{Run, START};

/// Of so many bytes the last one that is not zero is turned over. A new database is mostly zeros, which nobody reads, and of
/// a few records: so close that each is hit, since a last one alone may be lost as in a power cut (a note of the clocks).
const DAMAGED_EVERY: u64 = 64;

pub(crate) fn damage_log(run: &mut Run) -> Result<(), End> {
    damage(run, "log")
}

pub(crate) fn damage_history(run: &mut Run) -> Result<(), End> {
    damage(run, "history")
}

/// Bytes of one part of a node's data are turned over; the snapshots that it received are in its history too.
fn damage(run: &mut Run, part: &str) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("damage in the {part} of node {id}"));
    run.node(id).kill();
    let (place, sound) = (run.node(id).data_dir.join(part), run.work.join("sound"));
    copy(&place, &sound)?;
    turn_over_below(&place).map_err(|error| End::failed(format!("{}: {error}", place.display())))?;
    refused(run, id, "keep the data directory and do not run `init` again")?;
    put_back(&sound, &place)?;
    run.bring_back(&[id])
}

/// Starts a node whose data is not as it left them. It must end by itself and say these words.
fn refused(run: &Run, id: u64, words: &str) -> Result<(), End> {
    let node = run.node(id);
    node.launch();
    if within(START, || (!node.runs()).then_some(())).is_none() {
        return Err(run.broken(format!("node {id} serves though its data were damaged")));
    }
    node.kill();
    if !node.log_tail(3).contains(words) {
        return Err(run.broken(format!("node {id} was refused without a remedy in its log: {}", node.log_tail(1))));
    }
    Ok(())
}

/// A node comes back with an empty directory under its old number: the others refuse it, and it is never ready.
pub(crate) fn wipe(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("node {id} wiped"));
    run.node(id).kill();
    let (data, aside) = (run.node(id).data_dir.clone(), run.work.join("aside"));
    copy(&data, &aside)?;
    fs::remove_dir_all(&data).map_err(|error| End::failed(format!("{}: {error}", data.display())))?;
    run.cluster.init(id);
    run.bring_back(&[id])?;
    run.last();
    let node = run.node(id);
    if node.quick("/readyz").is_some_and(|answer| answer.status == 200) {
        return Err(run.broken(format!("node {id} was wiped and counts under its old number")));
    }
    if !node.log_tail(200).contains(&format!("start node {id} with that one; if it is lost")) {
        return Err(run.broken(format!("wiped node {id} does not say what to do: {}", node.log_tail(1))));
    }
    node.kill();
    put_back(&aside, &data)?;
    run.bring_back(&[id])
}

fn copy(from: &Path, to: &Path) -> Result<(), End> {
    match Command::new("cp").arg("-a").arg(from).arg(to).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err(End::failed(format!("{} cannot be copied", from.display()))),
    }
}

/// Moves a copy back to where it was made from.
fn put_back(copied: &Path, place: &Path) -> Result<(), End> {
    let failed = |error: io::Error| End::failed(format!("{}: {error}", place.display()));
    fs::remove_dir_all(place).map_err(failed)?;
    copy(copied, place)?;
    fs::remove_dir_all(copied).map_err(failed)?;
    sync(place)
}

/// Turns bytes over in every database below a folder.
fn turn_over_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            turn_over_below(&path)?;
        } else if path.file_name().is_some_and(|name| name == "db") {
            turn_over(&path)?;
        }
    }
    Ok(())
}

fn turn_over(file: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(file)?;
    let length = file.metadata()?.len();
    let mut start = 0;
    while start < length {
        let end = length.min(start + DAMAGED_EVERY);
        let mut bytes = vec![0; usize::try_from(end - start).expect("a few bytes")];
        file.read_exact_at(&mut bytes, start)?;
        if let Some((at, byte)) = (start..).zip(&bytes).filter(|(_, byte)| **byte != 0).last() {
            file.write_all_at(&[!byte], at)?;
        }
        start = end;
    }
    Ok(())
}
