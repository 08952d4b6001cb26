//! What interrupts an import: SIGINT (Ctrl-C) or SIGTERM; then a deadline for the batches under way.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::output::error::CliError;

/// The signals, and the deadline once one has come.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Set by the first signal: until when the batches under way may end.
    pub(crate) deadline: Option<Instant>,
}

impl Signals {
    pub(crate) fn new() -> Result<Signals, CliError> {
        let listen = |kind| signal(kind).map_err(|error| CliError::local(format!("no signals: {error}")));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            deadline: None,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }

    /// Ends at the deadline, or never.
    pub(crate) fn timeout(&self) -> impl Future<Output = ()> + use<> {
        let deadline = self.deadline;
        async move {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        }
    }
}
