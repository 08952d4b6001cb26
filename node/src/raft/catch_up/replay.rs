//! The replay of pages: from the image of the state where a node starts, onto the state that it has where it catches up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ledger::{State, TableSeed};

use crate::storage::{Checkpoint, History, StorageError};

/// The state as of the checkpoint of `history`, and the records and bytes of the image that it began with; zeros for none. Blocks.
///
/// # Errors
/// Where a page is damaged.
pub(crate) fn start_from(history: &History, seed: TableSeed) -> Result<(State, (u64, u64)), StorageError> {
    let to = history.checkpoint();
    if let Some(image) = history.read_image() {
        let last = (image.records, image.bytes);
        let mut state = image.of;
        // A record that does not fit the state panics. Here the image may be what is wrong.
        let replayed = catch_unwind(AssertUnwindSafe(|| replay_into(&mut state, history, &to)));
        if let Ok(Ok(())) = replayed {
            #[cfg(feature = "simulation")]
            assert_like_a_replay(&state, history);
            return Ok((state, last));
        }
        tracing::warn!("the pages do not continue the image of the state: all of them are replayed");
        history.remove_image()?;
    }
    let mut state = State::new(seed);
    replay_into(&mut state, history, &to)?;
    Ok((state, (0, 0)))
}

/// What an image saves may never be seen but in the time that a start takes.
#[cfg(feature = "simulation")]
fn assert_like_a_replay(state: &State, history: &History) {
    let mut replayed = State::new(state.table_seed());
    // A page that was damaged meanwhile is found where somebody reads it.
    if replay_into(&mut replayed, history, &history.checkpoint()).is_err() {
        return;
    }
    if let Some(what) = state.difference(&replayed) {
        panic!("the state that began with an image differs from a replay of all records: {what}");
    }
}

/// The state that `history` holds on disk up to `to`, checked against its digest.
///
/// # Errors
/// Where a page is damaged, or the records are not those that `to` was made of.
pub(crate) fn replay_into(state: &mut State, history: &History, to: &Checkpoint) -> Result<(), StorageError> {
    let mut page = None;
    history.replay(state.records() + 1..=to.records, |mark, record| {
        state.apply(record);
        // Once a page, since what stands before it does not change within it.
        if page == Some(mark.first) || state.page_mark() == *mark {
            page = Some(mark.first);
            return Ok(());
        }
        Err(StorageError::Damaged {
            place: format!("the header of the page that begins with record {}", mark.first),
            reason: "it does not follow from the records before it".to_owned(),
        })
    })?;
    if (state.records(), state.digest(), state.rules()) == (to.records, to.digest, to.rules) {
        return Ok(());
    }
    Err(StorageError::Damaged {
        place: "the history".to_owned(),
        reason: format!("its {} records do not have the digest and the rules of their checkpoint", to.records),
    })
}
