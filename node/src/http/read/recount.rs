//! Recomputations of the books: few at once, and none beyond its request's deadline.

use etebar_api::Code;
use ledger::PAGE_RECORDS;
use tokio::time::Instant;

use crate::http::app::App;
use crate::http::quotas::Permit;
use crate::http::request::head::Caller;
use crate::http::response::problem::Problem;

/// The right to recompute, until the request's deadline.
#[derive(Debug)]
pub(crate) struct Recount {
    deadline: Instant,
    _permit: Permit,
}

impl Recount {
    /// Waits for a permit, until the deadline at most.
    pub(crate) async fn begin(app: &App, caller: &Caller, deadline: Instant) -> Result<Self, Problem> {
        let permit = app.quotas.recounts.take(caller.key, deadline).await?;
        Ok(Self { deadline, _permit: permit })
    }

    /// Fails after the deadline. `read` counts the records read so far; the clock is read once a page of them.
    pub(crate) fn check_deadline(&self, read: u64) -> Result<(), Problem> {
        if read.is_multiple_of(PAGE_RECORDS) && Instant::now() >= self.deadline {
            return Err(Problem::new(Code::Overloaded, "the books could not be added up within the time of a request"));
        }
        Ok(())
    }
}
