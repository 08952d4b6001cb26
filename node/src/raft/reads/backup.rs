//! A backup of the ledger while this node serves: the records up to one position, made durable, and then their bytes, a piece
//! at a time.
//!
//! Pages never change but by growing, so what the head names stays valid while records are added. A piece is made once the one
//! before was taken: memory is bounded, however slow the caller is. Pages are read where blocking is allowed, and sealed in
//! spare time.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use pages::backup::{BackupError, Head, Writer};
use tokio::time::{Instant, sleep};

use crate::raft::lifecycle::node::Node;
use crate::runtime::spare_thread::SpareThread;
use crate::runtime::{self, Unfinished};
use crate::storage::history::BackupOrigin;
use crate::storage::{History, StorageError};

/// Bytes of pages from which on a piece is sent: a few round trips to the disk, and little memory.
const PIECE_BYTES: usize = 128 * 1024;
/// Pause between two looks at whether the records are durable.
const DURABLE_POLL: Duration = Duration::from_millis(10);

/// Where a backup ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupEnd {
    /// At the newest record.
    Newest,
    /// At the record that made this journal entry.
    Entry(u64),
    /// After exactly so many records.
    Records(u64),
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupRefused {
    /// The ledger has no such entry.
    #[error("there is no entry {entry}; the last one is {last}")]
    NoEntry {
        /// The requested one.
        entry: u64,
        /// The last one.
        last: u64,
    },
    /// The ledger has not so many records, or the backup is to end before.
    #[error("there are {last} records up to there, and not {records}")]
    NoRecords {
        /// How many were asked for.
        records: u64,
        /// How many there are up to the end of the backup.
        last: u64,
        /// Whether they are what the caller has, and not the end of the backup.
        is_start: bool,
    },
    /// The records did not become durable here in time, as while this node is receiving the history.
    #[error("{durable} records are durable here, and {records} are to be")]
    NotDurable {
        /// How many the backup has.
        records: u64,
        /// How many are durable.
        durable: u64,
    },
    /// Something broke.
    #[error(transparent)]
    Broken(#[from] BackupBroken),
}

/// Why a backup ends in the middle.
#[derive(Debug, thiserror::Error)]
pub enum BackupBroken {
    /// The history could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file could not be made.
    #[error("the backup was not made: {0}")]
    Backup(#[from] BackupError),
    /// The node ends.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
    /// There is no thread for it.
    #[error("there is no thread for a backup: {0}")]
    NoThread(#[from] std::io::Error),
}

/// A backup that is being sent.
#[derive(Debug)]
pub struct BackupStream {
    node: Arc<Node>,
    head: Head,
    applied: u64,
    /// Pages that are to come.
    pages: Range<u64>,
    /// Its own buffer is the next piece; `None` after the end.
    writer: Option<Writer<Vec<u8>>>,
    spare: SpareThread,
}

impl BackupStream {
    /// What the backup says of itself.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The position that this node had reached when the backup began.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The next bytes; `None` after the last ones.
    ///
    /// # Errors
    /// Where a page is damaged, which stops the node, or the node ends. What was given until then is known as cut.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, BackupBroken> {
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        let (pages, records) = (self.pages.clone(), self.head.records);
        let read = read(&self.node, move |history| read_piece(history, pages, records)).await?;
        self.pages.start += read.len() as u64;
        let is_last = self.pages.is_empty();
        let sealing = self.spare.run(move || {
            for (number, bytes) in &read {
                writer.page(*number, bytes)?;
            }
            if is_last {
                writer.finish()?;
            }
            let piece = std::mem::take(writer.out());
            Ok::<_, BackupError>((piece, (!is_last).then_some(writer)))
        });
        let (piece, writer) = sealing.await??;
        self.writer = writer;
        Ok(Some(piece))
    }
}

/// Begins a backup for whoever has the first `after` records (0 for none).
pub(crate) async fn back_up(
    node: Arc<Node>,
    end: BackupEnd,
    after: u64,
    deadline: Instant,
) -> Result<BackupStream, BackupRefused> {
    let newest = Newest::of(&node)?;
    let records = match end {
        BackupEnd::Newest => newest.records,
        BackupEnd::Records(records @ 1..) if records <= newest.records => records,
        BackupEnd::Records(records) => {
            return Err(BackupRefused::NoRecords { records, last: newest.records, is_start: false });
        }
        BackupEnd::Entry(entry @ 1..) if entry <= newest.entries => {
            read(&node, move |history| history.record_of_entry(entry)).await?
        }
        BackupEnd::Entry(entry) => return Err(BackupRefused::NoEntry { entry, last: newest.entries }),
    };
    if after > records {
        return Err(BackupRefused::NoRecords { records: after, last: records, is_start: true });
    }
    make_durable(&node, records, deadline).await?;
    let mut origin = newest.origin;
    if records != newest.records {
        // These are of the newest record.
        (origin.position, origin.totals) = (None, None);
    }
    let head = read(&node, move |history| history.backup_head(&origin, records, after)).await?;
    let writer = Writer::begin(Vec::new(), head.clone()).map_err(BackupBroken::Backup)?;
    let spare = SpareThread::start("backup").map_err(BackupBroken::NoThread)?;
    Ok(BackupStream { node, pages: head.pages(), head, applied: newest.applied, writer: Some(writer), spare })
}

/// What the state holds now.
struct Newest {
    applied: u64,
    records: u64,
    entries: u64,
    origin: BackupOrigin,
}

impl Newest {
    fn of(node: &Node) -> Result<Self, BackupRefused> {
        let replica = node.published.replica();
        let (records, _) = replica.whole;
        if replica.state.records() != records {
            // An entry that could not be applied to its end: the node is about to stop.
            let durable = node.history.durable_records();
            return Err(BackupRefused::NotDurable { records: replica.state.records(), durable });
        }
        let origin = BackupOrigin {
            ledger: node.me.ledger,
            cluster: node.me.cluster,
            epoch: replica.state.epoch(),
            ids: replica.state.ids().clone(),
            rules: replica.rules,
            position: replica.log_id,
            totals: Some(replica.state.totals()),
            made_ms: node.clock.now_ms(),
        };
        Ok(Self { applied: replica.applied, records, entries: replica.state.entries(), origin })
    }
}

/// Waits until the first `records` records survive a power cut, and writes them where nobody else does.
async fn make_durable(node: &Node, records: u64, deadline: Instant) -> Result<(), BackupRefused> {
    loop {
        let durable = node.history.durable_records();
        if durable >= records {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(BackupRefused::NotDurable { records, durable });
        }
        if let Err(error) = node.checkpoints.write().await {
            node.published.health.fail(format!("a checkpoint could not be written: {error}"));
            return Err(BackupBroken::Storage(error).into());
        }
        if node.history.durable_records() < records {
            sleep(DURABLE_POLL).await;
        }
    }
}

/// Pages from the first of `pages` on, a piece of them.
fn read_piece(history: &History, pages: Range<u64>, records: u64) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
    let (mut read, mut length) = (Vec::new(), 0);
    for number in pages {
        if length >= PIECE_BYTES {
            break;
        }
        let bytes = history.page(number, records)?;
        length += bytes.len();
        read.push((number, bytes));
    }
    Ok(read)
}

/// Reads the history where blocking is allowed. A node that finds damage stops: what else is damaged is not known.
async fn read<T: Send + 'static>(
    node: &Arc<Node>,
    read: impl FnOnce(&History) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, BackupBroken> {
    let node = node.clone();
    let reading = runtime::blocking(move || {
        read(&node.history).inspect_err(|error| {
            if matches!(error, StorageError::Damaged { .. }) {
                node.published.health.fail(format!("the history could not be read: {error}"));
            }
        })
    });
    Ok(reading.await??)
}
