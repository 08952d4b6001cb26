//! A thread for long computations that are to take only the time that nothing else needs.
//!
//! Work on it must hold no lock that others wait for: the thread may be kept from running for long. In a simulation the work is
//! done where it stands, since that has one thread.

use super::Unfinished;

/// How far below the node's other threads this one stands. Source: Linux gives a nice value of 10 a ninth of the weight of 0
/// (`sched_prio_to_weight`): enough to go on under full load, and too little to be felt.
#[cfg(not(feature = "simulation"))]
const NICE: i32 = 10;

#[cfg(not(feature = "simulation"))]
type Work = Box<dyn FnOnce() + Send>;

/// See the head of this file. The thread ends once this is dropped and its last piece of work is done.
#[cfg(not(feature = "simulation"))]
#[derive(Debug)]
pub struct SpareThread(std::sync::mpsc::Sender<Work>);

/// In a simulation there is one thread.
#[cfg(feature = "simulation")]
#[derive(Debug)]
pub struct SpareThread;

#[cfg(not(feature = "simulation"))]
impl SpareThread {
    /// Starts the thread.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let (sender, queue) = std::sync::mpsc::channel::<Work>();
        let run = move || {
            // Without an id it is the calling thread's priority that changes. Where that is forbidden the work is done all the same.
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::warn!(%error, "a thread for spare time has the priority of all others");
            }
            for work in queue {
                work();
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self(sender))
    }

    /// Does one piece of work there.
    ///
    /// # Errors
    /// Where it panics.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Unfinished>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (done, result) = tokio::sync::oneshot::channel();
        let work = move || {
            if let Ok(value) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                // Nobody waits where the node ended meanwhile.
                done.send(value).ok();
            }
        };
        self.0.send(Box::new(work)).map_err(|_ended| Unfinished)?;
        result.await.map_err(|_panicked| Unfinished)
    }
}

#[cfg(feature = "simulation")]
impl SpareThread {
    /// Nothing to start.
    pub fn start(_name: &str) -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Does the work at once.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Unfinished>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(work())
    }
}
