//! Opening the log: everything is read and checked once, and nothing is repaired.
//!
//! What may be missing is what no answer ever stood on: a newest generation that was not finished, older generations
//! whose removal a crash cut short. Any other gap is damage, and is refused with its place.

use std::sync::Arc;

use super::generation::{Bounds, Generation, name_of, number_of};
use super::view::View;
use super::{LogSettings, next_index};
use crate::storage::disk::{Disk, Disks};
use crate::storage::error::StorageError;
use crate::storage::types::{LogEntry, LogId};

/// A log that was found whole.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// What it holds.
    pub view: View,
    /// Where it lies, oldest first.
    pub generations: Vec<Generation>,
    /// What the newest generation holds beside entries.
    pub bounds: Bounds,
}

/// Makes an empty log.
pub(crate) async fn create(disks: &dyn Disks) -> Result<(), StorageError> {
    if !disks.list()?.is_empty() {
        return Err(StorageError::Present { what: "log", place: disks.place() });
    }
    let disk = disks.open(&name_of(1))?;
    let generation = Generation { number: 1, first: 0, disk };
    generation.disk.apply(generation.beginning(&Bounds::default())?)?;
    generation.disk.sync().await
}

/// Opens the log that is there.
pub(crate) fn open(disks: &dyn Disks, settings: LogSettings) -> Result<Recovered, StorageError> {
    let generations = drop_overruled(disks, finished(disks)?)?;
    let newest = generations.last().ok_or_else(|| StorageError::Absent { what: "log", place: disks.place() })?;
    let bounds = newest.bounds()?;
    let generations = drop_purged(disks, generations, next_index(bounds.purged))?;
    let mut view = View {
        vote: bounds.vote,
        committed: bounds.committed,
        purged: bounds.purged,
        first: next_index(bounds.purged),
        last: bounds.purged,
        durable: next_index(bounds.purged),
        ..View::default()
    };
    read_entries(&generations, &mut view, settings.memory_bytes)?;
    check_reached(&generations, &view)?;
    Ok(Recovered { view, generations, bounds })
}

/// The generations whose first write is durable. Only the newest may be without.
fn finished(disks: &dyn Disks) -> Result<Vec<Generation>, StorageError> {
    let mut generations: Vec<Generation> = Vec::new();
    let mut unfinished: Option<(u64, Arc<dyn Disk>)> = None;
    for name in disks.list()? {
        let number = number_of(&name)
            .ok_or_else(|| StorageError::damaged(disks.place(), format!("{name} is not a log generation")))?;
        if let Some((number, _)) = unfinished {
            return Err(StorageError::damaged(format!("log generation {number}"), "its heading is missing"));
        }
        let disk = disks.open(&name)?;
        match Generation::heading(number, &*disk)? {
            Some(heading) => generations.push(Generation { number, first: heading.first, disk }),
            None => unfinished = Some((number, disk)),
        }
    }
    if let Some((number, disk)) = unfinished {
        if generations.is_empty() {
            return Err(StorageError::Absent { what: "finished log", place: disks.place() });
        }
        if disk.high_water()?.is_some() {
            return Err(StorageError::damaged(format!("log generation {number}"), "its heading is missing"));
        }
        disks.discard(&name_of(number), disk)?;
    }
    Ok(generations)
}

/// Drops the generations that a newer one overrules wholly: a truncation that a crash cut short.
fn drop_overruled(disks: &dyn Disks, generations: Vec<Generation>) -> Result<Vec<Generation>, StorageError> {
    let mut kept = Vec::new();
    let mut end = u64::MAX;
    for generation in generations.into_iter().rev() {
        if generation.first < end {
            end = generation.first;
            kept.push(generation);
        } else {
            disks.discard(&name_of(generation.number), generation.disk)?;
        }
    }
    kept.reverse();
    Ok(kept)
}

/// Drops the generations that end before entry `kept`: a purge that a crash cut short.
fn drop_purged(
    disks: &dyn Disks,
    mut generations: Vec<Generation>,
    kept: u64,
) -> Result<Vec<Generation>, StorageError> {
    while generations.get(1).is_some_and(|second| second.first <= kept) {
        let oldest = generations.remove(0);
        disks.discard(&name_of(oldest.number), oldest.disk)?;
    }
    Ok(generations)
}

/// Reads every entry that counts, and keeps the recent ones in memory.
fn read_entries(generations: &[Generation], view: &mut View, memory_bytes: u64) -> Result<(), StorageError> {
    let mut index = next_index(view.purged);
    if let Some(oldest) = generations.first()
        && oldest.first > index
    {
        return Err(missing(index, oldest, "the generation before this one is gone"));
    }
    for (place, generation) in generations.iter().enumerate() {
        let end = generations.get(place + 1).map_or(u64::MAX, |next| next.first);
        while index < end {
            let Some((entry, _)) = generation.entry(index)? else { break };
            check_order(view.last, &entry, generation)?;
            view.last = Some(entry.log_id);
            index += 1;
            view.durable = index;
            view.recent.push(entry);
            view.recent.trim(index, memory_bytes);
        }
        let after = generation.next_entry(index)?.filter(|found| *found < end);
        match (after, end) {
            (Some(found), _) => return Err(missing(index, generation, &format!("entry {found} is there"))),
            (None, u64::MAX) => {}
            (None, _) if index < end => return Err(missing(index, generation, "the next generation is there")),
            (None, _) => {}
        }
    }
    Ok(())
}

/// Compares what was found with the newest high-water mark: a database that takes damage for a torn end comes back shorter.
fn check_reached(generations: &[Generation], view: &View) -> Result<(), StorageError> {
    for (place, generation) in generations.iter().enumerate().rev() {
        let Some(reached) = generation.reached()? else { continue };
        let lost = |what: String| Err(StorageError::damaged(format!("log generation {}", generation.number), what));
        if view.vote.partial_cmp(&reached.vote).is_none_or(std::cmp::Ordering::is_lt) {
            return lost(format!("it lacks the vote {:?}", reached.vote));
        }
        if view.purged < reached.purged {
            return lost(format!("it lacks the purge up to {:?}", reached.purged));
        }
        let end = generations.get(place + 1).map_or(u64::MAX, |next| next.first);
        let Some(last) = reached.last.filter(|last| Some(*last) > view.purged && last.index < end) else {
            return Ok(());
        };
        let found = match generations.iter().rev().find(|holder| holder.first <= last.index) {
            Some(holder) => holder.entry(last.index)?,
            None => None,
        };
        let within = last.index < next_index(view.last);
        return match found {
            Some((entry, _)) if within && entry.log_id == last => Ok(()),
            Some(_) | None => lost(format!("it lacks log entry {last}, which was durable")),
        };
    }
    Ok(())
}

fn check_order(last: Option<LogId>, entry: &LogEntry, generation: &Generation) -> Result<(), StorageError> {
    if last < Some(entry.log_id) {
        return Ok(());
    }
    let place = format!("log entry {} in generation {}", entry.log_id.index, generation.number);
    Err(StorageError::damaged(place, format!("its id {} is not above the one before", entry.log_id)))
}

fn missing(index: u64, generation: &Generation, seen: &str) -> StorageError {
    let place = format!("log entry {index} in generation {}", generation.number);
    StorageError::damaged(place, format!("it is missing, though {seen}"))
}
