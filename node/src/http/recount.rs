//! Long recomputations of the books: few at once, and none beyond its request's time.

use etebar::api::Code;
use ledger::PAGE_RECORDS;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::app::App;
use super::problem::Problem;

/// The right to recompute, until a time.
#[derive(Debug)]
pub struct Recount {
    deadline: Instant,
    _room: OwnedSemaphorePermit,
}

impl Recount {
    /// Waits for room, until the deadline at most.
    pub async fn begin(app: &App, deadline: Instant) -> Result<Self, Problem> {
        let room = app.recounts.clone().acquire_owned();
        match tokio::time::timeout_at(deadline, room).await {
            Ok(Ok(room)) => Ok(Self { deadline, _room: room }),
            Ok(Err(_)) | Err(_) => {
                Err(Problem::new(Code::Overloaded, "too many recomputations of the books are running"))
            }
        }
    }

    /// Fails where the request's time is over. `read` counts the records read so far; the clock is looked at now and then.
    pub fn go_on(&self, read: u64) -> Result<(), Problem> {
        if read.is_multiple_of(PAGE_RECORDS) && Instant::now() >= self.deadline {
            return Err(Problem::new(Code::Overloaded, "the books could not be added up within the time of a request"));
        }
        Ok(())
    }
}
