//! The one writer of the log: everything that changes it passes here, in the order in which it was asked.
//!
//! In production it has a thread of its own ([`LogWriter::spawn_thread`]), for its syncs block; in a simulation it is a
//! task on the host, so that a crash ends it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attendant::Attendant;
use super::generation::{Bounds, Generation, LogHighWater, name_of};
use super::next_index;
use super::view::SharedLog;
use super::work::{Done, Round, Waiting, Work, answer};
use crate::storage::disk::{Batch, Disk, Disks};
use crate::storage::error::StorageError;
use crate::storage::types::{LogId, Vote};

/// See the head of this file.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<SharedLog>,
    disks: Arc<dyn Disks>,
    queue: mpsc::Receiver<Work>,
    /// What the newest generation holds beside entries.
    bounds: Bounds,
    /// The last log id that is durable.
    last: Option<LogId>,
    /// Until the log is closed.
    attendant: Option<Attendant>,
}

impl LogWriter {
    pub(super) fn new(
        shared: Arc<SharedLog>,
        disks: Arc<dyn Disks>,
        queue: mpsc::Receiver<Work>,
        bounds: Bounds,
    ) -> Result<Self, StorageError> {
        let last = shared.view().last;
        let attendant = Some(Attendant::start(Arc::clone(&disks), Arc::clone(&shared.aside))?);
        Ok(Self { shared, disks, queue, bounds, last, attendant })
    }

    /// Runs the writer in a thread of its own until the log is closed, all its handles are gone, or a write fails.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn spawn_thread(self) -> Result<JoinHandle<Result<(), StorageError>>, StorageError> {
        thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || futures::executor::block_on(self.run()))
            .map_err(|error| StorageError::io("start a thread for", "the log's writer", &error))
    }

    /// Writes until the log is closed, all its handles are gone, or a write fails, which is final.
    ///
    /// # Errors
    /// The write or sync that failed. All that waited got the error, and nothing more is taken.
    pub async fn run(mut self) -> Result<(), StorageError> {
        let ended = self.serve().await;
        let reason = match &ended {
            Ok(()) => "it was closed".to_owned(),
            Err(error) => {
                tracing::error!(%error, "the log could not be written; nothing more is taken");
                if let Some(attendant) = self.attendant.take() {
                    attendant.abandon();
                }
                error.to_string()
            }
        };
        self.shared.view().stopped = Some(reason.clone());
        self.queue.close();
        while let Ok(work) = self.queue.try_recv() {
            work.refuse(&StorageError::Stopped { reason: reason.clone() });
        }
        ended
    }

    async fn serve(&mut self) -> Result<(), StorageError> {
        let shared = Arc::clone(&self.shared);
        while let Some(work) = self.queue.recv().await {
            let _at_work = shared.watch.begin();
            let mut round = Round::default();
            let alone = self.collect(work, &mut round)?;
            self.attendant().check()?;
            self.write(round).await?;
            match alone {
                None => {}
                Some(Work::Close { done }) => return report(self.close().await, done),
                Some(Work::Truncate { last, done }) => report(self.truncate(last).await, done)?,
                Some(Work::Purge) => self.purge().await?,
                Some(Work::Append { .. } | Work::Vote { .. }) => unreachable!("these are written in rounds"),
            }
        }
        self.close().await
    }

    /// Takes what waits into one round; gives the work that must stand alone after it, if one came.
    fn collect(&mut self, first: Work, round: &mut Round) -> Result<Option<Work>, StorageError> {
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                Work::Append { entries, callback } => round.append(&entries, callback)?,
                Work::Vote { vote, done } => {
                    round.vote = Some(vote);
                    round.waiting.push(Waiting::Vote { vote, done });
                }
                Work::Truncate { .. } | Work::Purge | Work::Close { .. } => return Ok(Some(work)),
            }
            let full = round.bytes >= self.shared.settings.round_bytes;
            next = if full { None } else { self.queue.try_recv().ok() };
        }
        Ok(None)
    }

    /// One batch, one sync, then every callback in order.
    async fn write(&mut self, round: Round) -> Result<(), StorageError> {
        if round.waiting.is_empty() {
            return Ok(());
        }
        let Round { batch, first, last, vote, waiting, bytes: _ } = round;
        if let Err(error) = self.write_batch(batch, first, last, vote).await {
            for waiting in waiting {
                waiting.fail(&error);
            }
            return Err(error);
        }
        for waiting in waiting {
            waiting.complete(&self.shared);
        }
        let mut view = self.shared.view();
        let durable = view.durable;
        view.recent.trim(durable, self.shared.settings.memory_bytes);
        Ok(())
    }

    async fn write_batch(
        &mut self,
        mut batch: Batch,
        first: Option<u64>,
        last: Option<LogId>,
        vote: Option<Vote>,
    ) -> Result<(), StorageError> {
        let bounds = self.bounds_now(vote);
        if let Some(first) = first
            && self.is_full(first)?
        {
            self.begin(first, bounds)?;
        }
        bounds.put_changes(&self.bounds, &mut batch)?;
        self.bounds = bounds;
        let disk = self.newest();
        disk.apply(batch)?;
        let begun = Instant::now();
        disk.sync().await?;
        self.shared.instruments.synced(begun.elapsed());
        self.last = last.or(self.last);
        self.write_high_water(&*disk)
    }

    /// Notes what is durable now.
    fn write_high_water(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        LogHighWater { vote: self.bounds.vote, purged: self.bounds.purged, last: self.last }.write(disk)
    }

    /// Whether the newest generation is large enough, and entry `first` would not be its first. Where it is nearly so,
    /// the next one is made.
    fn is_full(&mut self, first: u64) -> Result<bool, StorageError> {
        let (number, begins, bytes) = {
            let generations = self.shared.generations();
            let newest = generations.last().expect("a log has a generation while it is open");
            (newest.number, newest.first, newest.disk.bytes_on_disk()?)
        };
        let full = self.shared.settings.generation_bytes;
        if bytes >= full / 4 * 3 {
            self.attendant().prepare(number + 1)?;
        }
        Ok(begins < first && bytes >= full)
    }

    /// Begins a generation for the entries from `first` on. Durable with the next sync of the newest disk.
    fn begin(&mut self, first: u64, bounds: Bounds) -> Result<(), StorageError> {
        let last = self.shared.generations().last().map_or(0, |newest| newest.number);
        let number = last + 1;
        let ahead = self.attendant().take(number)?;
        let disk = ahead.map_or_else(|| self.disks.open(&name_of(number)), Ok)?;
        let generation = Generation { number, first, disk };
        generation.disk.apply(generation.beginning(&bounds)?)?;
        self.bounds = bounds;
        self.shared.generations_mut().push(generation);
        Ok(())
    }

    async fn truncate(&mut self, last: Option<LogId>) -> Result<(), StorageError> {
        if self.last <= last {
            return Ok(());
        }
        let from = next_index(last);
        // The high-water mark may not speak of what is about to go.
        self.last = last.max(self.bounds.purged);
        let disk = self.newest();
        self.write_high_water(&*disk)?;
        disk.sync_high_water()?;
        drop(disk);
        let newest_first = self.shared.generations().last().map_or(0, |newest| newest.first);
        if from < newest_first {
            // The new generation overrules what the older ones hold beyond its first index.
            let bounds = self.bounds_now(None);
            self.begin(from, bounds)?;
            self.newest().sync().await?;
            let newest = self.shared.generations().last().map_or(0, |newest| newest.number);
            self.discard(|generation, _| generation.number < newest && generation.first >= from)?;
        } else {
            self.remove_from(from)?;
            self.newest().sync().await?;
        }
        let mut view = self.shared.view();
        view.durable = view.durable.min(from);
        Ok(())
    }

    /// Removes the entries from `from` on in the newest generation, under the lock of readers: they find what the view
    /// promised them, or do not look for it.
    fn remove_from(&self, from: u64) -> Result<(), StorageError> {
        let generations = self.shared.generations_mut();
        let newest = generations.last().expect("a log has a generation while it is open");
        newest.disk.apply(newest.removal(from)?)
    }

    async fn purge(&mut self) -> Result<(), StorageError> {
        let bounds = self.bounds_now(None);
        let mut batch = Batch::default();
        bounds.put_changes(&self.bounds, &mut batch)?;
        self.bounds = bounds;
        // Durable before anything goes, or a start would take the gap for a loss.
        let disk = self.newest();
        disk.apply(batch)?;
        disk.sync().await?;
        self.last = self.last.max(bounds.purged);
        self.write_high_water(&*disk)?;
        drop(disk);
        let kept = next_index(bounds.purged);
        self.discard(|_, end| end.is_some_and(|end| end <= kept))?;
        let mut view = self.shared.view();
        view.durable = view.durable.max(kept);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StorageError> {
        let bounds = self.bounds_now(None);
        let mut batch = Batch::default();
        bounds.put_changes(&self.bounds, &mut batch)?;
        if !batch.is_empty() {
            let disk = self.newest();
            disk.apply(batch)?;
            disk.sync().await?;
        }
        self.shared.generations_mut().clear();
        self.attendant.take().map_or(Ok(()), Attendant::finish)
    }

    /// Has the generations dropped that `goes` names by themselves and the first index of the next one.
    fn discard(&mut self, goes: impl Fn(&Generation, Option<u64>) -> bool) -> Result<(), StorageError> {
        let gone = {
            let mut generations = self.shared.generations_mut();
            let ends: Vec<Option<u64>> =
                generations.iter().skip(1).map(|next| Some(next.first)).chain([None]).collect();
            let (gone, kept) = std::mem::take(&mut *generations)
                .into_iter()
                .zip(ends)
                .partition::<Vec<_>, _>(|(generation, end)| goes(generation, *end));
            *generations = kept.into_iter().map(|(generation, _)| generation).collect();
            gone
        };
        gone.into_iter().try_for_each(|(generation, _)| self.attendant().discard(generation.number, generation.disk))
    }

    fn attendant(&mut self) -> &mut Attendant {
        self.attendant.as_mut().expect("a log has an attendant while it is open")
    }

    fn newest(&self) -> Arc<dyn Disk> {
        let generations = self.shared.generations();
        Arc::clone(&generations.last().expect("a log has a generation while it is open").disk)
    }

    /// The bounds as they are to be on the disk; `vote` is a new one.
    fn bounds_now(&self, vote: Option<Vote>) -> Bounds {
        let view = self.shared.view();
        Bounds { vote: vote.or(self.bounds.vote), committed: view.committed, purged: view.purged }
    }
}

fn report(result: Result<(), StorageError>, done: Done) -> Result<(), StorageError> {
    answer(done, result.clone());
    result
}
