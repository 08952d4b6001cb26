//! What happened, as the clients saw it, and what must be true of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etebar_node::raft::Cluster;
use ledger::{Event, RecordNumber};

/// What all clients together know.
#[derive(Debug, Default)]
pub struct Told {
    /// Acknowledged charges: key and record.
    pub acknowledged: BTreeMap<String, RecordNumber>,
    /// Charges whose outcome nobody was told.
    pub unknown: u64,
    /// Linearizable reads that were checked.
    pub reads: u64,
    /// The largest record that was acknowledged.
    pub furthest: RecordNumber,
    /// Promises that were broken.
    pub broken: Vec<String>,
}

/// Shared by all clients and the one who checks. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Story(Arc<Mutex<Told>>);

impl Story {
    /// What is known so far.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A charge was acknowledged.
    pub fn acknowledge(&self, key: &str, record: RecordNumber) {
        let mut told = self.told();
        told.furthest = told.furthest.max(record);
        if let Some(before) = told.acknowledged.insert(key.to_owned(), record)
            && before != record
        {
            told.broken.push(format!("{key} was decided twice: by records {before} and {record}"));
        }
    }
}

/// Compares the end of the story with what a member holds: everything acknowledged once, nothing twice.
pub fn check(story: &Story, member: &Cluster) {
    let records = member.replica().state.records();
    let mut by_key: BTreeMap<String, RecordNumber> = BTreeMap::new();
    let mut broken = Vec::new();
    for number in 1..=records {
        let record = match member.record(number) {
            Ok(record) => record,
            Err(error) => {
                broken.push(format!("record {number} is unreadable: {error}"));
                continue;
            }
        };
        let Some(key) = &record.idempotency_key else { continue };
        if !matches!(record.event, Event::Charged { .. }) {
            continue;
        }
        if let Some(before) = by_key.insert(key.as_str().to_owned(), number) {
            broken.push(format!("{} was charged twice: by records {before} and {number}", key.as_str()));
        }
    }
    let mut told = story.told();
    for (key, record) in &told.acknowledged {
        match by_key.get(key) {
            Some(found) if found == record => {}
            Some(found) => broken.push(format!("{key} was acknowledged with record {record}, and is {found}")),
            None => broken.push(format!("{key} was acknowledged with record {record}, and is lost")),
        }
    }
    told.broken.extend(broken);
}
