//! Readers of the log: for followers, and for applying what is committed.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures::Stream;
use futures::stream;
use openraft::{OptionalSend, RaftLogReader};

use super::view::SharedLog;
use crate::storage::types::{LogEntry, TypeConfig, Vote};

/// Reads the log while it is written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogReader {
    shared: Arc<SharedLog>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<SharedLog>) -> Self {
        Self { shared }
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = Result<LogEntry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        // A bounded piece at a time: what is to be applied after a restart may be the whole log.
        let (start, end) = bounds_of(&range);
        let shared = Arc::clone(&self.shared);
        let pieces = stream::try_unfold(start, move |start| {
            let piece = shared.read(start, end, shared.settings.round_bytes);
            async move {
                let piece = piece.map_err(io::Error::from)?;
                let next = piece.last().map(|last| last.log_id.index + 1);
                Ok::<_, io::Error>(next.map(|next| (stream::iter(piece.into_iter().map(Ok)), next)))
            }
        });
        Box::pin(futures::TryStreamExt::try_flatten(pieces))
    }

    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let (start, end) = bounds_of(&range);
        Ok(self.shared.read(start, end, u64::MAX)?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.view().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<LogEntry>, io::Error> {
        Ok(self.shared.read(start, end, self.shared.settings.round_bytes)?)
    }
}

/// First and end (exclusive) of a range.
fn bounds_of(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}
