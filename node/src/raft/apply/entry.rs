//! Applying committed entries: fetch what memory does not hold, decide, apply, keep.
//!
//! Runs one entry after the other, on a blocking thread unless it is short and in memory. What cannot be read or does not
//! fit stops the node: a replica that skipped a decision would never be right again.

use std::io;

use ledger::{Command, Facts, Missing, Outcome, State, Time, decide, missing};
use openraft::EntryPayload;
use openraft::storage::EntryResponder;
use serde::{Deserialize, Serialize};

use super::replica::{Published, Replica};
use crate::storage::StorageError;
use crate::storage::format::codec;
use crate::storage::history::History;
use crate::storage::types::{Decided, Decisions, Payload, TypeConfig};

/// What one log entry holds: commands in order, and the time that the leader gives them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommandBatch {
    /// The leader's clock when it proposed; ledger time is the larger of this and the state's.
    pub stamp: Time,
    /// The commands.
    pub commands: Vec<Command>,
}

/// Entries of so many bytes and fewer may be applied where they arrive, if they need nothing from the disk.
const LIGHT_BYTES: usize = 4 * 1024;

/// Applies `entries` in order and answers those that somebody waits for.
pub(crate) fn apply(
    shared: &Published,
    history: &History,
    entries: Vec<EntryResponder<TypeConfig>>,
) -> Result<(), io::Error> {
    for (entry, responder) in entries {
        let outcomes = match entry.payload {
            EntryPayload::Normal(payload) => {
                let batch = decode(&payload)?;
                let facts = fetch(&shared.replica().state, history, &batch).map_err(io::Error::other)?;
                let mut replica = shared.replica_mut();
                let outcomes = decide_all(shared, history, &mut replica, facts, &batch, responder.is_some());
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

/// Whether applying is short and touches no disk, so that handing it to another thread would cost more than doing it.
pub(crate) fn is_light(shared: &Published, entries: &[EntryResponder<TypeConfig>]) -> Result<bool, io::Error> {
    let payloads = || entries.iter().filter_map(|(entry, _)| payload_of(&entry.payload));
    if payloads().map(|payload| payload.0.len()).sum::<usize>() > LIGHT_BYTES {
        return Ok(false);
    }
    for payload in payloads() {
        let batch = decode(payload)?;
        let replica = shared.replica();
        let lacks = |command| missing(&replica.state, &Facts::default(), command, batch.stamp).is_some();
        if batch.commands.iter().any(lacks) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn payload_of<N, I>(payload: &EntryPayload<Payload, I, N>) -> Option<&Payload>
where
    N: openraft::Node,
    I: openraft::NodeId,
{
    match payload {
        EntryPayload::Normal(payload) => Some(payload),
        EntryPayload::Blank | EntryPayload::Membership(_) => None,
    }
}

fn advance(replica: &mut Replica, log_id: openraft::type_config::alias::LogIdOf<TypeConfig>) {
    assert!(log_id.index == 0 || log_id.index > replica.applied, "entries are applied in order, once");
    replica.reach(Some(log_id));
}

fn decode(payload: &Payload) -> Result<CommandBatch, io::Error> {
    codec::decode(&payload.0).map_err(io::Error::other)
}

/// Reads, before anything is locked against readers, what the whole entry needs of old records.
fn fetch(state: &State, history: &History, batch: &CommandBatch) -> Result<Facts, StorageError> {
    let mut facts = Facts::default();
    for command in &batch.commands {
        while let Some(Missing(number)) = missing(state, &facts, command, batch.stamp) {
            facts.add(history.record(number)?);
        }
    }
    Ok(facts)
}

fn decide_all(
    shared: &Published,
    history: &History,
    replica: &mut Replica,
    mut facts: Facts,
    batch: &CommandBatch,
    is_awaited: bool,
) -> Result<Vec<Decided>, StorageError> {
    let mut outcomes = Vec::with_capacity(if is_awaited { batch.commands.len() } else { 0 });
    for command in &batch.commands {
        let decided = match decide_one(history, &replica.state, &mut facts, command, batch.stamp)? {
            Outcome::New(record) => {
                replica.state.apply(&record);
                shared.note(&replica.state, &record);
                let record = history.push(record);
                is_awaited.then(|| Decided::Recorded { record: (*record).clone(), replayed: false })
            }
            Outcome::Replay(number) if is_awaited => {
                let Some(record) = facts.get(number) else { unreachable!("the record of a replay is among the facts") };
                Some(Decided::Recorded { record: (**record).clone(), replayed: true })
            }
            Outcome::Replay(_) => None,
            Outcome::Rejected(rejection) => Some(Decided::NotRecorded(rejection)),
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
    facts: &mut Facts,
    command: &Command,
    stamp: Time,
) -> Result<Outcome, StorageError> {
    loop {
        match decide(state, facts, command, stamp) {
            Ok(outcome) => return Ok(outcome),
            // Each turn adds one, of two at most.
            Err(Missing(number)) => facts.add(history.record(number)?),
        }
    }
}
