//! What interrupts an import: Ctrl-C, or to be told to end; then the end of patience.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::output::error::CliError;

/// See the head of this file.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Set once something interrupted: the end of patience.
    pub(crate) until: Option<Instant>,
}

impl Signals {
    pub(crate) fn new() -> Result<Signals, CliError> {
        let listen = |kind| signal(kind).map_err(|error| CliError::local(format!("no signals: {error}")));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            until: None,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }

    pub(crate) fn patience(&self) -> impl Future<Output = ()> + use<> {
        let until = self.until;
        async move {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        }
    }
}
