//! What a start would find on the disks, without a start: for `etebar-node check`.
//!
//! In the order of a start, which ends with the first thing that it refuses. The pages and the image of the state are not read:
//! what they hold is checked by the start itself.

use futures::executor::block_on;
use openraft::{EntryPayload, RaftLogReader};

use crate::raft::apply::machine::CommandBatch;
use crate::raft::apply::rules::{KnownRules, UnknownRules, raised_by};
use crate::raft::peers::link::hello::version::Build;
use crate::storage::format::{Kind, codec};
use crate::storage::{Checkpoint, History, LogSettings, LogStore, NodeDisks, StorageError};

/// How far [`inspect`] came.
#[derive(Debug, Default)]
pub struct Inspection {
    /// The checkpoint: which records there are, and which log entry they reflect.
    pub checkpoint: Option<Checkpoint>,
    /// The version of the rules that the ledger goes by once the log is applied; 0 where there is no genesis yet.
    pub rules: u32,
    /// The index of the last log entry, where the log opens, joins the history, and raises the rules to none that is not known.
    pub last_entry: Option<u64>,
    /// The first thing that a start refuses.
    pub refused: Option<InspectionError>,
}

/// What a start of this build refuses.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// The ledger goes by rules that this build does not know, or the log raises it to such.
    #[error(transparent)]
    Rules(#[from] UnknownRules),
    /// The checkpoint cannot be read.
    #[error("{0}")]
    Checkpoint(StorageError),
    /// The history is damaged.
    #[error("{0}")]
    History(StorageError),
    /// The log is damaged, or does not join the history.
    #[error("{0}")]
    Log(StorageError),
}

/// Opens the disks as a start of this build does, with `log_bytes` as the bound of the log. Blocks; changes the disks as every
/// opening does: what was torn by a crash is cut, what a crash left half removed is removed.
pub fn inspect(disks: &NodeDisks, log_bytes: u64) -> Inspection {
    let mut found = Inspection::default();
    found.refused = look(disks, log_bytes, &mut found).err();
    found
}

fn look(disks: &NodeDisks, log_bytes: u64, found: &mut Inspection) -> Result<(), InspectionError> {
    let known = KnownRules(Build::OWN.rules);
    let checkpoint = History::checkpoint_on(&*disks.history).map_err(InspectionError::Checkpoint)?;
    let applied = checkpoint.applied.map_or(0, |applied| applied.index + 1);
    let rules = found.checkpoint.insert(checkpoint).rules;
    found.rules = rules;
    known.check(rules)?;
    let history = History::open(disks.history.clone()).map_err(InspectionError::History)?;
    let (log, _writer) =
        LogStore::open(disks.log.clone(), LogSettings::for_log_bytes(log_bytes)).map_err(InspectionError::Log)?;
    log.check_joins(&history).map_err(InspectionError::Log)?;
    found.rules = rules.max(check_entries(known, &log, applied)?);
    found.last_entry = Some(log.last().map_or(0, |last| last.index));
    Ok(())
}

/// Reads the entries from `index` on, which a start applies; the newest rules that they ask for, 0 where they ask for none.
fn check_entries(known: KnownRules, log: &LogStore, mut index: u64) -> Result<u32, InspectionError> {
    let mut rules = 0;
    let mut reader = log.reader();
    loop {
        let entries = block_on(reader.limited_get_log_entries(index, u64::MAX));
        let damaged = |reason| StorageError::Damaged { place: "the log".to_owned(), reason };
        let entries = entries.map_err(|error| InspectionError::Log(damaged(error.to_string())))?;
        let Some(last) = entries.last() else { return Ok(rules) };
        index = last.log_id.index + 1;
        for entry in entries {
            let EntryPayload::Normal(payload) = entry.payload else { continue };
            let batch: CommandBatch =
                codec::decode(Kind::Commands, &payload.0).map_err(StorageError::from).map_err(InspectionError::Log)?;
            known.check_raised(&batch.commands)?;
            rules = batch.commands.iter().filter_map(raised_by).fold(rules, u32::max);
        }
    }
}
