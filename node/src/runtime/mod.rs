//! The seams to the world: runtime, network, clock, entropy and the log. Node code names these and nothing behind them.
//!
//! Under the feature `simulation` the same code runs in one thread, on seeded entropy and a clock that a test sets.

pub mod log;
pub mod log_throttle;
pub mod service_manager;
pub mod spare_thread;

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use openraft_rt::AsyncRuntime;
use openraft_rt::OptionalSend;

/// The runtime that openraft and every task of `raft` run on.
#[cfg(not(feature = "simulation"))]
pub type Rt = openraft_rt_tokio::TokioRuntime;
/// The runtime that openraft and every task of `raft` run on; its random numbers follow a seed.
#[cfg(feature = "simulation")]
pub type Rt = openraft_rt::deterministic_rng::DeterministicRng<openraft_rt_tokio::TokioRuntime>;

/// Listeners and streams: the one place where a network is named.
#[cfg(not(feature = "simulation"))]
pub mod net {
    pub use tokio::net::{TcpListener, TcpStream};
}

/// Listeners and streams of a simulated network.
#[cfg(feature = "simulation")]
pub mod net {
    pub use turmoil::net::{TcpListener, TcpStream};
}

/// Starts a task that lives as long as the node. Openraft may be called from it, in the simulation too.
pub fn spawn<F>(future: F)
where
    F: Future + OptionalSend + 'static,
    F::Output: OptionalSend + 'static,
{
    // The handle is dropped on purpose: a task ends with its channels or with the runtime.
    drop(Rt::spawn(future));
}

/// Ticks with `pause` between them; a late tick delays the next ones.
pub fn every(pause: std::time::Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// Starts a task that the node cannot do without: where it panics the process ends at once, since the rest of
/// the node would wait for it.
pub fn spawn_vital<F>(what: &'static str, future: F)
where
    F: Future<Output = ()> + OptionalSend + 'static,
{
    spawn(async move {
        if AssertUnwindSafe(future).catch_unwind().await.is_err() {
            give_up(what);
        }
    });
}

/// Ends the process after a panic that it cannot recover from. What it acknowledged is synced.
#[cfg(not(feature = "simulation"))]
pub fn give_up(what: &str) -> ! {
    tracing::error!(what, "panicked: the process ends");
    std::process::abort()
}

/// Ends the simulated host, and with it the simulation: that is a violation, which has to be reported.
#[cfg(feature = "simulation")]
pub fn give_up(what: &str) -> ! {
    panic!("{what} panicked: the process ends")
}

/// The threads that Raft, its timers and the peer link run on, apart from everything else, so that load elsewhere
/// cannot cost a leadership. They end when this is dropped.
#[cfg(not(feature = "simulation"))]
#[derive(Debug)]
pub struct RaftRuntime(Option<tokio::runtime::Runtime>);

/// In a simulation all runs in one thread.
#[cfg(feature = "simulation")]
#[derive(Debug)]
pub struct RaftRuntime;

#[cfg(not(feature = "simulation"))]
impl RaftRuntime {
    /// Starts the threads.
    pub fn start() -> std::io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("raft").enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs `future` on these threads, and waits for it. Its lines of the log are the caller's.
    pub async fn run<F>(&self, future: F) -> Result<F::Output, Unfinished>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = self.0.as_ref().ok_or(Unfinished)?;
        runtime.spawn(log::context::carried(future)).await.map_err(|_joined| Unfinished)
    }
}

#[cfg(not(feature = "simulation"))]
impl Drop for RaftRuntime {
    fn drop(&mut self) {
        // In the background: it may be dropped on a runtime, where waiting is forbidden.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(feature = "simulation")]
impl RaftRuntime {
    /// Nothing to start.
    pub fn start() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Runs `future` where it stands.
    pub async fn run<F>(&self, future: F) -> Result<F::Output, Unfinished>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(future.await)
    }
}

/// Why work given to [`blocking`] has no result: it panicked, or the runtime is going down.
#[derive(Debug, thiserror::Error)]
#[error("work on the disk did not finish")]
pub struct Unfinished;

/// Does blocking work (disk, long computations) off the runtime's threads. Its lines of the log are the caller's.
#[cfg(not(feature = "simulation"))]
pub async fn blocking<T, F>(work: F) -> Result<T, Unfinished>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tokio::task::spawn_blocking(log::context::carrying(work)).await.map_err(|_joined| Unfinished)
}

/// Does the work at once: a simulation has one thread, and its disk takes no real time.
#[cfg(feature = "simulation")]
pub async fn blocking<T, F>(work: F) -> Result<T, Unfinished>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Ok(work())
}

/// Does blocking work that awaits its syncs: on a thread where they may block.
#[cfg(not(feature = "simulation"))]
pub async fn on_disk<F>(work: F) -> Result<F::Output, Unfinished>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    blocking(move || futures::executor::block_on(work)).await
}

/// Awaits the work where it stands: the simulated disk takes simulated time.
#[cfg(feature = "simulation")]
pub async fn on_disk<F>(work: F) -> Result<F::Output, Unfinished>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Ok(work.await)
}

/// How long a machine has been up. It cannot be set: the difference of two readings in one boot is time that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime {
    /// Which boot of the machine: random, drawn by its kernel.
    pub boot: u128,
    /// Milliseconds since, those included in which it was suspended.
    pub ms: u64,
}

impl Uptime {
    /// The machine's, where Linux gives it.
    fn of_machine() -> Option<Self> {
        let read = |place: &str| std::fs::read_to_string(place).ok();
        let boot = uuid::Uuid::try_parse(read("/proc/sys/kernel/random/boot_id")?.trim()).ok()?.as_u128();
        let text = read("/proc/uptime")?;
        // `4242.17 8123.90`: the first is CLOCK_BOOTTIME, in seconds with two places.
        let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
        let ms = seconds
            .parse::<u64>()
            .ok()?
            .checked_mul(1_000)?
            .checked_add(hundredths.parse::<u64>().ok()?.checked_mul(10)?)?;
        Some(Self { boot, ms })
    }
}

/// A wall clock: milliseconds since the Unix epoch. It may jump; nothing but the stamp of ledger time follows it. And how long
/// its machine has been up, where that is known.
#[derive(Clone)]
pub struct Clock {
    now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    uptime: Arc<dyn Fn() -> Option<Uptime> + Send + Sync>,
}

impl Clock {
    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the seam itself")]
    pub fn system() -> Self {
        Self::from_fn(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
        })
        .with_uptime(Uptime::of_machine)
    }

    /// A clock that a test or a simulation sets.
    pub fn from_fn(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { now_ms: Arc::new(now_ms), uptime: Arc::new(|| None) }
    }

    /// The same on a machine whose uptime is read so.
    #[must_use]
    pub fn with_uptime(self, uptime: impl Fn() -> Option<Uptime> + Send + Sync + 'static) -> Self {
        Self { uptime: Arc::new(uptime), ..self }
    }

    /// Now, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    /// How long the machine has been up; none where it does not say. Reads a file of the kernel: not for the hot path.
    pub fn uptime(&self) -> Option<Uptime> {
        (self.uptime)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}

/// The source of entropy is exhausted or absent; no secret may be drawn without it.
#[derive(Debug, thiserror::Error)]
#[error("the source of entropy failed: {0}")]
pub struct NoEntropy(String);

/// Entropy for secrets, ids and request ids. Not used by anything that replicas must agree on.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), NoEntropy> + Send + Sync;

impl Entropy {
    /// The operating system's.
    #[expect(clippy::disallowed_methods, reason = "the seam itself")]
    pub fn system() -> Self {
        Self(Arc::new(|bytes| getrandom::fill(bytes).map_err(|error| NoEntropy(error.to_string()))))
    }

    /// One that a simulation seeds.
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |bytes| {
            fill(bytes);
            Ok(())
        }))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], NoEntropy> {
        let mut bytes = [0_u8; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}
