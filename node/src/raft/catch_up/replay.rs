//! The replay of pages: from the image of the state where a node starts, onto a copy of the state that it has where it catches
//! up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ledger::{PageMark, Record, RecordNumber, State, TableSeed};

use crate::storage::{Checkpoint, History, Page, StorageError};

/// The state as of the checkpoint of `history`, and the records and bytes of the image that it began with; zeros for none. Blocks.
///
/// # Errors
/// Where a page is damaged.
pub(crate) fn start_from(history: &History, seed: TableSeed) -> Result<(State, (u64, u64)), StorageError> {
    let to = history.checkpoint();
    if let Some(image) = history.read_image() {
        let last = (image.records, image.bytes);
        // A record that does not fit the state panics. Here the image may be what is wrong.
        let replayed = catch_unwind(AssertUnwindSafe(|| replay_all(image.of, history, &to)));
        if let Ok(Ok(state)) = replayed {
            #[cfg(feature = "simulation")]
            assert_like_a_replay(&state, history);
            return Ok((state, last));
        }
        tracing::warn!("the pages do not continue the image of the state: all of them are replayed");
        history.remove_image()?;
    }
    Ok((replay_all(State::new(seed), history, &to)?, (0, 0)))
}

/// What an image saves may never be seen but in the time that a start takes.
#[cfg(feature = "simulation")]
fn assert_like_a_replay(state: &State, history: &History) {
    // A page that was damaged meanwhile is found where somebody reads it.
    let Ok(replayed) = replay_all(State::new(state.table_seed()), history, &history.checkpoint()) else { return };
    if let Some(what) = state.difference(&replayed) {
        panic!("the state that began with an image differs from a replay of all records: {what}");
    }
}

/// The state that `history` holds on disk up to `to`, checked against its digest.
///
/// # Errors
/// Where a page is damaged, or the records are not those that `to` was made of.
fn replay_all(state: State, history: &History, to: &Checkpoint) -> Result<State, StorageError> {
    let mut replay = Replay::onto(state);
    replay.read(history, to.records)?;
    replay.finish(to)
}

/// A state that records are applied to, page after page, from the disk or as they are received.
pub(crate) struct Replay {
    /// A state is kilobytes by itself, which what holds this (futures, Raft's commands) would copy about.
    state: Box<State>,
    /// The first record of the page whose header was compared last.
    page: Option<RecordNumber>,
}

impl Replay {
    /// Begins with the record after those of `state`.
    pub(crate) fn onto(state: State) -> Self {
        Self { state: Box::new(state), page: None }
    }

    /// Applies the records that `history` has on disk up to `last`. Blocks.
    ///
    /// # Errors
    /// Where a page is damaged, or its header does not follow from the records before it.
    pub(crate) fn read(&mut self, history: &History, last: RecordNumber) -> Result<(), StorageError> {
        history.replay(self.state.records() + 1..=last, |page| self.apply_page(page))
    }

    /// Applies what is new in `page`. Computes for some time.
    ///
    /// # Errors
    /// Where a record between is missing, or the page's header does not follow from the records before it.
    pub(crate) fn apply_page(&mut self, page: &Page) -> Result<(), StorageError> {
        let known = self.state.records();
        if page.mark.first > known + 1 {
            return Err(does_not_follow(page.mark.first));
        }
        let known = page.records.partition_point(|record| record.number <= known);
        let new = page.records.get(known..).unwrap_or_default();
        self.state.touch(new);
        new.iter().try_for_each(|record| self.apply(&page.mark, record))
    }

    fn apply(&mut self, mark: &PageMark, record: &Record) -> Result<(), StorageError> {
        self.state.apply(record);
        // Once a page, since what stands before it does not change within it.
        if self.page != Some(mark.first) && self.state.page_mark() != *mark {
            return Err(does_not_follow(mark.first));
        }
        self.page = Some(mark.first);
        Ok(())
    }

    /// The state as far as it was replayed.
    pub(crate) fn into_state(self) -> State {
        *self.state
    }

    /// The state, which is to be that of `to`.
    ///
    /// # Errors
    /// Where the records are not those that `to` was made of.
    pub(crate) fn finish(self, to: &Checkpoint) -> Result<State, StorageError> {
        let state = *self.state;
        if (state.records(), state.digest(), state.rules()) == (to.records, to.digest, to.rules) {
            return Ok(state);
        }
        Err(StorageError::Damaged {
            place: "the history".to_owned(),
            reason: format!("its {} records do not have the digest and the rules of their checkpoint", to.records),
        })
    }
}

fn does_not_follow(first: RecordNumber) -> StorageError {
    StorageError::Damaged {
        place: format!("the header of the page that begins with record {first}"),
        reason: "it does not follow from the records before it".to_owned(),
    }
}
