//! Generations: the log lies in small databases, one after the other, and each is dropped whole once it is purged.
//!
//! A generation holds the entries from its first index up to the next one's; what an older one still holds beyond that
//! was truncated and counts for nothing. The newest also holds the vote and the log's bounds, so that one sync covers
//! them and the entries alike.

use std::sync::Arc;

use openraft::EntryPayload;
use serde::{Deserialize, Serialize};

use crate::storage::disk::{Batch, Disk};
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::parts::{self, PARTS_MAX};
use crate::storage::format::{Kind, codec};
use crate::storage::types::plain::{PlainEntry, PlainLogId, PlainVote};
use crate::storage::types::{LogEntry, LogId, Vote};

/// One small database of the log.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Its place in the order, from 1; also its name.
    pub number: u64,
    /// The first index that it may hold.
    pub first: u64,
    /// Where it lies.
    pub disk: Arc<dyn Disk>,
}

/// What the first write of a generation says of it. A generation without it was never finished and holds nothing that
/// was answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heading {
    /// See [`Generation::number`].
    pub number: u64,
    /// See [`Generation::first`].
    pub first: u64,
}

/// What Raft keeps beside the entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// What this node voted for.
    pub vote: Option<Vote>,
    /// The last log id known to be committed.
    pub committed: Option<LogId>,
    /// The last log id that is gone, and all before it.
    pub purged: Option<LogId>,
}

/// How far the log got in the newest generation: its high-water mark. What is found at a start may be more, never less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogHighWater {
    /// What this node voted for.
    pub vote: Option<Vote>,
    /// The last log id that is gone.
    pub purged: Option<LogId>,
    /// The last log id there is.
    pub last: Option<LogId>,
}

/// A high-water mark as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlainLogHighWater {
    /// See [`LogHighWater::vote`].
    pub vote: Option<PlainVote>,
    /// See [`LogHighWater::purged`].
    pub purged: Option<PlainLogId>,
    /// See [`LogHighWater::last`].
    pub last: Option<PlainLogId>,
}

/// The folder of a generation. As wide as the largest number, so that names sort as numbers do.
pub(crate) fn name_of(number: u64) -> String {
    format!("{number:020}")
}

/// The number that a folder's name stands for.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    name.parse().ok().filter(|number| name_of(*number) == name)
}

impl Generation {
    /// Its high-water mark; none where none was written yet.
    pub(crate) fn reached(&self) -> Result<Option<LogHighWater>, StorageError> {
        let place = format!("the high-water mark of log generation {}", self.number);
        let Some(bytes) = self.disk.high_water()? else { return Ok(None) };
        let plain: PlainLogHighWater =
            codec::decode(Kind::LogHighWater, &bytes).map_err(|error| StorageError::damaged(&place, error))?;
        Ok(Some(plain.into()))
    }

    /// The writes that begin this generation.
    pub(crate) fn beginning(&self, bounds: &Bounds) -> Result<Batch, StorageError> {
        let mut batch = Batch::default();
        let heading = Heading { number: self.number, first: self.first };
        put(Kind::Generation, &mut batch, keys::generation(), &heading)?;
        bounds.put_all(&mut batch)?;
        Ok(batch)
    }

    /// What its first write says; none where that never became durable.
    pub(crate) fn heading(number: u64, disk: &dyn Disk) -> Result<Option<Heading>, StorageError> {
        let place = format!("the heading of log generation {number}");
        let heading: Option<Heading> = get(Kind::Generation, disk, &keys::generation(), &place)?;
        match heading {
            Some(found) if found.number != number => {
                Err(StorageError::damaged(place, format!("it is that of generation {}", found.number)))
            }
            Some(_) | None => Ok(heading),
        }
    }

    /// The bounds that it holds.
    pub(crate) fn bounds(&self) -> Result<Bounds, StorageError> {
        let place = |what: &str| format!("the {what} in log generation {}", self.number);
        Ok(Bounds {
            vote: get::<PlainVote>(Kind::Vote, &*self.disk, &keys::vote(), &place("vote"))?.map(Vote::from),
            committed: get::<PlainLogId>(
                Kind::LogPosition,
                &*self.disk,
                &keys::committed(),
                &place("committed position"),
            )?
            .map(LogId::from),
            purged: get::<PlainLogId>(Kind::LogPosition, &*self.disk, &keys::purged(), &place("purged position"))?
                .map(LogId::from),
        })
    }

    /// The entry `index` and its size in bytes; none where this generation does not hold it.
    pub(crate) fn entry(&self, index: u64) -> Result<Option<(LogEntry, u64)>, StorageError> {
        let place = || format!("log entry {index} in generation {}", self.number);
        let pairs = self.disk.range(&keys::entry(index, 0), &keys::entry(index, u16::MAX), PARTS_MAX)?;
        if pairs.is_empty() {
            return Ok(None);
        }
        let joined = parts::join(Kind::LogEntry, &pairs, place)?;
        let Some((length, bytes)) = joined.split_first_chunk::<4>() else {
            return Err(StorageError::damaged(place(), "its length is missing"));
        };
        let length = u32::from_be_bytes(*length) as usize;
        if bytes.len() != length {
            let reason = format!("it has {} bytes of {length}: a part is missing", bytes.len());
            return Err(StorageError::damaged(place(), reason));
        }
        let entry: PlainEntry =
            codec::decode(Kind::LogEntry, bytes).map_err(|error| StorageError::damaged(place(), error))?;
        let entry = LogEntry::try_from(entry).map_err(|error| StorageError::damaged(place(), error))?;
        if entry.log_id.index != index {
            return Err(StorageError::damaged(place(), format!("it is entry {}", entry.log_id.index)));
        }
        Ok(Some((entry, joined.len() as u64)))
    }

    /// The first index from `index` on that has an entry here.
    pub(crate) fn next_entry(&self, index: u64) -> Result<Option<u64>, StorageError> {
        let found = self.disk.range(&keys::entry(index, 0), &keys::after_entries(), 1)?;
        Ok(found.first().and_then(|(key, _)| keys::read_numbered(key)).map(|(index, _)| index))
    }

    /// The writes that remove all entries from `index` on.
    pub(crate) fn removal(&self, index: u64) -> Result<Batch, StorageError> {
        let mut batch = Batch::default();
        let mut from = keys::entry(index, 0);
        loop {
            let found = self.disk.range(&from, &keys::after_entries(), 256)?;
            let Some((last, _)) = found.last() else {
                return Ok(batch);
            };
            from = [last.as_slice(), &[0]].concat();
            for (key, _) in found {
                batch.remove(key);
            }
        }
    }
}

impl Bounds {
    /// Writes what differs from `before`, which is on the disk already.
    pub(crate) fn put_changes(&self, before: &Self, batch: &mut Batch) -> Result<(), StorageError> {
        if self.vote != before.vote {
            put_some(Kind::Vote, batch, keys::vote(), self.vote.map(PlainVote::from).as_ref())?;
        }
        if self.committed != before.committed {
            put_some(Kind::LogPosition, batch, keys::committed(), self.committed.map(PlainLogId::from).as_ref())?;
        }
        if self.purged != before.purged {
            put_some(Kind::LogPosition, batch, keys::purged(), self.purged.map(PlainLogId::from).as_ref())?;
        }
        Ok(())
    }

    fn put_all(&self, batch: &mut Batch) -> Result<(), StorageError> {
        self.put_changes(&Self::default(), batch)
    }
}

impl LogHighWater {
    /// Notes it on `disk`.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        disk.write_high_water(&codec::encode(Kind::LogHighWater, &PlainLogHighWater::from(*self))?)
    }
}

impl From<LogHighWater> for PlainLogHighWater {
    fn from(reached: LogHighWater) -> Self {
        Self {
            vote: reached.vote.map(PlainVote::from),
            purged: reached.purged.map(PlainLogId::from),
            last: reached.last.map(PlainLogId::from),
        }
    }
}

impl From<PlainLogHighWater> for LogHighWater {
    fn from(plain: PlainLogHighWater) -> Self {
        Self {
            vote: plain.vote.map(Vote::from),
            purged: plain.purged.map(LogId::from),
            last: plain.last.map(LogId::from),
        }
    }
}

/// More bytes than an entry has beside its payload.
const ENTRY_OVERHEAD: usize = 64;

/// Adds the parts of `entry` to `batch`; gives its size in bytes.
pub(crate) fn put_entry(batch: &mut Batch, entry: &LogEntry) -> Result<u64, StorageError> {
    const LENGTH: usize = 4;
    let payload = match &entry.payload {
        EntryPayload::Normal(payload) => payload.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    let mut bytes = Vec::with_capacity(LENGTH + ENTRY_OVERHEAD + payload);
    bytes.extend_from_slice(&[0; LENGTH]);
    codec::encode_into(Kind::LogEntry, &PlainEntry::from(entry), &mut bytes)?;
    let length = u32::try_from(bytes.len() - LENGTH).expect("the codec refuses more than 16 MiB");
    bytes[..LENGTH].copy_from_slice(&length.to_be_bytes());
    for (key, sealed) in parts::split(Kind::LogEntry, &bytes, |part| keys::entry(entry.log_id.index, part))? {
        batch.insert(key, sealed);
    }
    Ok(bytes.len() as u64)
}

fn put<T: Serialize>(kind: Kind, batch: &mut Batch, key: Vec<u8>, value: &T) -> Result<(), StorageError> {
    let sealed = codec::seal_value(kind, &key, value)?;
    batch.insert(key, sealed);
    Ok(())
}

fn put_some<T: Serialize>(kind: Kind, batch: &mut Batch, key: Vec<u8>, value: Option<&T>) -> Result<(), StorageError> {
    let Some(value) = value else {
        batch.remove(key);
        return Ok(());
    };
    put(kind, batch, key, value)
}

fn get<T: serde::de::DeserializeOwned>(
    kind: Kind,
    disk: &dyn Disk,
    key: &[u8],
    place: &str,
) -> Result<Option<T>, StorageError> {
    Ok(disk.get(key)?.map(|sealed| codec::unseal_value(kind, key, &sealed, place)).transpose()?)
}
