//! Turns: how many clusters of one test binary run at a time, and which tests need the machine alone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();
static ALONE: Mutex<()> = Mutex::new(());

/// The right to run one cluster, given back when it is dropped.
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// Waits until fewer clusters run than the machine takes: half its cores, two at least.
    pub fn take() -> Turn {
        let most = std::thread::available_parallelism().map_or(2, |cores| (cores.get() / 2).max(2));
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = ENDED.wait_while(running, |running| *running >= most).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Turn(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// Keeps other tests of this binary that ask for the same from running meanwhile: for heavy load and tight times.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
