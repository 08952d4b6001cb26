//! Applying committed entries: fetch what memory does not hold, decide, apply, keep.
//!
//! Runs on a blocking thread, one entry after the other. What cannot be read or does not fit stops the node: a
//! replica that skipped a decision would never be right again.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use ledger::{Command, Facts, Outcome, Record, RecordNumber, Rejection, State, Time, decide, needs};
use openraft::EntryPayload;
use openraft::storage::EntryResponder;
use serde::{Deserialize, Serialize};

use super::replica::{Replica, Shared};
use crate::storage::StorageError;
use crate::storage::codec;
use crate::storage::history::History;
use crate::storage::types::{Decided, Decisions, Payload, TypeConfig};

/// What one log entry holds: commands in order, and the time that the leader gives them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Batch {
    /// The leader's clock when it proposed; ledger time is the larger of this and the state's.
    pub stamp: Time,
    /// The commands.
    pub commands: Vec<Command>,
}

type Fetched = BTreeMap<RecordNumber, Arc<Record>>;

/// Applies `entries` in order and answers those that somebody waits for.
pub fn apply(shared: &Shared, history: &History, entries: Vec<EntryResponder<TypeConfig>>) -> Result<(), io::Error> {
    for (entry, responder) in entries {
        let outcomes = match entry.payload {
            EntryPayload::Normal(payload) => {
                let batch = decode(&payload)?;
                let fetched = fetch(&shared.replica().state, history, &batch).map_err(io::Error::other)?;
                let mut replica = shared.replica_mut();
                let outcomes = decide_all(shared, history, &mut replica, &fetched, batch, responder.is_some());
                let outcomes = outcomes.map_err(io::Error::other)?;
                advance(&mut replica, entry.log_id);
                outcomes
            }
            EntryPayload::Membership(membership) => {
                let mut replica = shared.replica_mut();
                replica.membership = openraft::StoredMembership::new(Some(entry.log_id), membership);
                advance(&mut replica, entry.log_id);
                Vec::new()
            }
            EntryPayload::Blank => {
                advance(&mut shared.replica_mut(), entry.log_id);
                Vec::new()
            }
        };
        let digest = shared.replica().state.digest();
        shared.publish(entry.log_id.index, digest);
        if let Some(responder) = responder {
            responder.send(Decisions { position: entry.log_id.index, outcomes });
        }
    }
    Ok(())
}

fn advance(replica: &mut Replica, log_id: openraft::type_config::alias::LogIdOf<TypeConfig>) {
    assert!(log_id.index == 0 || log_id.index > replica.applied, "entries are applied in order, once");
    replica.applied = log_id.index;
    replica.log_id = Some(log_id);
}

fn decode(payload: &Payload) -> Result<Batch, io::Error> {
    codec::decode(&payload.0).map_err(io::Error::other)
}

/// Reads, before anything is locked against readers, what the whole entry needs of old records.
fn fetch(state: &State, history: &History, batch: &Batch) -> Result<Fetched, StorageError> {
    let mut fetched = Fetched::new();
    for command in &batch.commands {
        let needs = needs(state, command, batch.stamp);
        for number in [needs.replay, needs.subject].into_iter().flatten() {
            if let std::collections::btree_map::Entry::Vacant(place) = fetched.entry(number) {
                place.insert(history.record(number)?);
            }
        }
    }
    Ok(fetched)
}

fn decide_all(
    shared: &Shared,
    history: &History,
    replica: &mut Replica,
    fetched: &Fetched,
    batch: Batch,
    is_awaited: bool,
) -> Result<Vec<Decided>, StorageError> {
    let mut outcomes = Vec::with_capacity(if is_awaited { batch.commands.len() } else { 0 });
    for command in &batch.commands {
        let decided = match decide_one(history, &replica.state, fetched, command, batch.stamp)? {
            Outcome::New(record) => {
                replica.state.apply(&record);
                shared.note(&replica.state, &record);
                let record = history.push(record);
                is_awaited.then(|| Decided::Accepted { record: (*record).clone(), replayed: false })
            }
            Outcome::Replay(number) if is_awaited => {
                let record = match fetched.get(&number) {
                    Some(record) => record.clone(),
                    None => history.record(number)?,
                };
                Some(Decided::Accepted { record: (*record).clone(), replayed: true })
            }
            Outcome::Replay(_) => None,
            Outcome::Refused(rejection) => Some(Decided::Refused(rejection)),
        };
        if is_awaited {
            outcomes.extend(decided);
        }
    }
    Ok(outcomes)
}

/// Decides on what was fetched; where an earlier command of the same entry made more necessary, fetches that too.
fn decide_one(
    history: &History,
    state: &State,
    fetched: &Fetched,
    command: &Command,
    stamp: Time,
) -> Result<Outcome, StorageError> {
    let needs = needs(state, command, stamp);
    let find = |number: Option<RecordNumber>| -> Result<Option<Arc<Record>>, StorageError> {
        let Some(number) = number else { return Ok(None) };
        match fetched.get(&number) {
            Some(record) => Ok(Some(record.clone())),
            None => history.record(number).map(Some),
        }
    };
    let (replay, subject) = (find(needs.replay)?, find(needs.subject)?);
    let facts = Facts { replay: replay.as_deref(), subject: subject.as_deref() };
    let outcome = decide(state, &facts, command, stamp);
    assert_ne!(outcome, Outcome::Refused(Rejection::FactsMissing), "all that a command needs was fetched");
    Ok(outcome)
}
