//! Work that blocks and may be long, beside the program's signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output::error::CliError;

/// Does work that blocks on files and takes a core. It is to look now and then whether somebody still waits for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Running) -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    let running = Running(Arc::new(AtomicBool::new(true)));
    let until_dropped = UntilDropped(running.clone());
    let done = tokio::task::spawn_blocking(move || work(&running)).await;
    drop(until_dropped);
    done.map_err(|error| CliError::local(format!("the work did not finish: {error}")))?
}

/// Whether somebody still waits for a piece of work.
#[derive(Debug, Clone)]
pub(super) struct Running(Arc<AtomicBool>);

impl Running {
    /// Fails where nobody does, since a signal ended the program.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err(CliError::local("interrupted")) }
    }
}

struct UntilDropped(Running);

impl Drop for UntilDropped {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}
