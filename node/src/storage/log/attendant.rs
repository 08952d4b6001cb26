//! The work beside the log's writer: the next generation is made before it is needed, and those that are over are dropped.
//!
//! Both make, sync or remove files for some ten milliseconds, for which every append would wait. So in production they have a
//! thread; in a simulation they are done where they are asked for, since that has one thread. Bounded: one generation is
//! made ahead, and where several wait to be dropped the writer waits as well. An error is the writer's: with its next round, or
//! where it needs what was to be made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::generation::name_of;
use crate::storage::disk::{Disk, Disks};
use crate::storage::error::StorageError;

/// See the head of this file. Where it is dropped, what was asked for is done first.
#[derive(Debug)]
pub(crate) struct Attendant {
    hands: Hands,
    /// The generation that is being made, or is made.
    ahead: Option<u64>,
    bytes: Arc<AsideBytes>,
}

/// Bytes on the file system that belong to the log and to none of its generations: made ahead, or not yet dropped.
#[derive(Debug, Default)]
pub(crate) struct AsideBytes(AtomicU64);

impl AsideBytes {
    /// How many they are.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A generation that was made ahead.
struct Made {
    disk: Arc<dyn Disk>,
    /// Its bytes, as they were counted.
    bytes: u64,
}

impl Attendant {
    /// For the generations in `disks`. What they take aside is counted in `bytes`.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub(crate) fn start(disks: Arc<dyn Disks>, bytes: Arc<AsideBytes>) -> Result<Self, StorageError> {
        let hands = Hands::start(Work { disks, bytes: bytes.clone() })?;
        Ok(Self { hands, ahead: None, bytes })
    }

    /// Has this generation made, unless one is.
    ///
    /// # Errors
    /// Where something that was asked for before failed.
    pub(crate) fn prepare(&mut self, number: u64) -> Result<(), StorageError> {
        if self.ahead.is_none() {
            self.ahead = Some(number);
            self.hands.make(number)?;
        }
        Ok(())
    }

    /// This generation, where it was asked for: waits until it is made.
    ///
    /// # Errors
    /// Where it could not be made.
    pub(crate) fn take(&mut self, number: u64) -> Result<Option<Arc<dyn Disk>>, StorageError> {
        if self.ahead.take_if(|ahead| *ahead == number).is_none() {
            return Ok(None);
        }
        let Made { disk, bytes } = self.hands.made()?;
        self.bytes.remove(bytes);
        Ok(Some(disk))
    }

    /// Has a generation dropped; `last` is the last handle to it.
    ///
    /// # Errors
    /// Where something that was asked for before failed.
    pub(crate) fn discard(&mut self, number: u64, last: Arc<dyn Disk>) -> Result<(), StorageError> {
        let bytes = last.bytes_on_disk()?;
        self.bytes.add(bytes);
        self.hands.discard(number, last, bytes)
    }

    /// What failed of all that was asked for.
    ///
    /// # Errors
    /// That, once.
    pub(crate) fn check(&mut self) -> Result<(), StorageError> {
        self.hands.check()
    }

    /// Waits until all that was asked for is done, and closes what was made ahead. The next start finds that unfinished, and
    /// drops it.
    ///
    /// # Errors
    /// What failed of it.
    pub(crate) fn finish(mut self) -> Result<(), StorageError> {
        if self.ahead.take().is_some() {
            self.hands.made()?;
        }
        self.hands.finish()
    }

    /// Leaves everything as it is, after a failure: closing a database whose disk failed writes to it again.
    pub(crate) fn abandon(self) {
        std::mem::forget(self);
    }
}

/// What is done for a job.
#[derive(Debug)]
struct Work {
    disks: Arc<dyn Disks>,
    bytes: Arc<AsideBytes>,
}

impl Work {
    fn make(&self, number: u64) -> Result<Made, StorageError> {
        let disk = self.disks.open(&name_of(number))?;
        let bytes = disk.bytes_on_disk()?;
        self.bytes.add(bytes);
        Ok(Made { disk, bytes })
    }

    fn discard(&self, number: u64, last: Arc<dyn Disk>, bytes: u64) -> Result<(), StorageError> {
        self.disks.discard(&name_of(number), last)?;
        self.bytes.remove(bytes);
        Ok(())
    }
}

#[cfg(not(feature = "simulation"))]
use thread::Hands;

#[cfg(not(feature = "simulation"))]
mod thread {
    //! Jobs in a queue, and a thread that does them in order.

    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, sync_channel};
    use std::thread::JoinHandle;

    use super::{Made, Work};
    use crate::storage::disk::Disk;
    use crate::storage::error::StorageError;

    /// Jobs that wait at most. Source: a purge drops an eighth of the log's bound at a time, rarely more than two or three.
    const JOBS: usize = 8;

    enum Job {
        Make(u64),
        Discard { number: u64, last: Arc<dyn Disk>, bytes: u64 },
    }

    /// See [`super::Attendant`].
    pub(super) struct Hands {
        jobs: SyncSender<Job>,
        made: Receiver<Result<Made, StorageError>>,
        /// The first job that failed; the thread ends with it.
        failed: Receiver<StorageError>,
        thread: JoinHandle<()>,
    }

    impl std::fmt::Debug for Hands {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Hands")
        }
    }

    impl Hands {
        pub(super) fn start(work: Work) -> Result<Self, StorageError> {
            let (jobs, waiting) = sync_channel(JOBS);
            let (give, made) = sync_channel(1);
            let (fail, failed) = sync_channel(1);
            let run = move || {
                for job in waiting {
                    let done = match job {
                        // Whoever asked may be gone; then it is closed, and the next start drops it.
                        Job::Make(number) => {
                            drop(give.send(work.make(number)));
                            Ok(())
                        }
                        Job::Discard { number, last, bytes } => work.discard(number, last, bytes),
                    };
                    if let Err(error) = done {
                        drop(fail.send(error));
                        return;
                    }
                }
            };
            let thread = std::thread::Builder::new().name("log-attendant".to_owned()).spawn(run);
            let thread =
                thread.map_err(|error| StorageError::io("start a thread for", "the log's attendant", &error))?;
            Ok(Self { jobs, made, failed, thread })
        }

        pub(super) fn make(&mut self, number: u64) -> Result<(), StorageError> {
            self.ask(Job::Make(number))
        }

        pub(super) fn made(&mut self) -> Result<Made, StorageError> {
            match self.made.recv() {
                Ok(made) => made,
                Err(RecvError) => Err(self.end()),
            }
        }

        pub(super) fn discard(&mut self, number: u64, last: Arc<dyn Disk>, bytes: u64) -> Result<(), StorageError> {
            self.ask(Job::Discard { number, last, bytes })
        }

        pub(super) fn check(&mut self) -> Result<(), StorageError> {
            match self.failed.try_recv() {
                Ok(error) => Err(error),
                Err(TryRecvError::Empty) => Ok(()),
                Err(TryRecvError::Disconnected) => Err(self.end()),
            }
        }

        pub(super) fn finish(self) -> Result<(), StorageError> {
            drop(self.jobs);
            let ended = self.thread.join();
            match (self.failed.try_recv(), ended) {
                (Ok(error), _) => Err(error),
                (Err(_), Ok(())) => Ok(()),
                (Err(_), Err(_panicked)) => Err(panicked()),
            }
        }

        fn ask(&mut self, job: Job) -> Result<(), StorageError> {
            match self.jobs.send(job) {
                Ok(()) => Ok(()),
                Err(unsent) => {
                    // The disk of what was not dropped is not closed either.
                    std::mem::forget(unsent);
                    Err(self.end())
                }
            }
        }

        /// Why the thread ended.
        fn end(&mut self) -> StorageError {
            self.failed.try_recv().unwrap_or_else(|_none| panicked())
        }
    }

    fn panicked() -> StorageError {
        StorageError::Stopped { reason: "its attendant ended".to_owned() }
    }
}

#[cfg(feature = "simulation")]
use at_once::Hands;

#[cfg(feature = "simulation")]
mod at_once {
    //! Each job is done where it is asked for.

    use std::sync::Arc;

    use super::{Made, Work};
    use crate::storage::disk::Disk;
    use crate::storage::error::StorageError;

    /// See [`super::Attendant`].
    #[derive(Debug)]
    pub(super) struct Hands {
        work: Work,
        made: Option<Made>,
    }

    impl Hands {
        pub(super) fn start(work: Work) -> Result<Self, StorageError> {
            Ok(Self { work, made: None })
        }

        pub(super) fn make(&mut self, number: u64) -> Result<(), StorageError> {
            self.made = Some(self.work.make(number)?);
            Ok(())
        }

        pub(super) fn made(&mut self) -> Result<Made, StorageError> {
            self.made.take().ok_or_else(|| StorageError::Stopped { reason: "no generation was made".to_owned() })
        }

        pub(super) fn discard(&mut self, number: u64, last: Arc<dyn Disk>, bytes: u64) -> Result<(), StorageError> {
            self.work.discard(number, last, bytes)
        }

        pub(super) fn check(&mut self) -> Result<(), StorageError> {
            Ok(())
        }

        pub(super) fn finish(self) -> Result<(), StorageError> {
            Ok(())
        }
    }
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Made({} bytes)", self.bytes)
    }
}
