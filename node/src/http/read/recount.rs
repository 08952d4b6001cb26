//! Long recomputations of the books: few at once, and none beyond its request's time.

use etebar_api::Code;
use ledger::PAGE_RECORDS;
use tokio::time::Instant;

use crate::http::app::App;
use crate::http::quotas::Turn;
use crate::http::request::auth::Caller;
use crate::http::response::problem::Problem;

/// The right to recompute, until a time.
#[derive(Debug)]
pub struct Recount {
    deadline: Instant,
    _turn: Turn,
}

impl Recount {
    /// Waits for the caller's turn, until the deadline at most.
    pub async fn begin(app: &App, caller: &Caller, deadline: Instant) -> Result<Self, Problem> {
        let turn = app.quotas.recounts.take(caller.key, deadline).await?;
        Ok(Self { deadline, _turn: turn })
    }

    /// Fails where the request's time is over. `read` counts the records read so far; the clock is looked at now and then.
    pub fn go_on(&self, read: u64) -> Result<(), Problem> {
        if read.is_multiple_of(PAGE_RECORDS) && Instant::now() >= self.deadline {
            return Err(Problem::new(Code::Overloaded, "the books could not be added up within the time of a request"));
        }
        Ok(())
    }
}
