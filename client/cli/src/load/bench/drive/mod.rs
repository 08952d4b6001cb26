//! Driving one process's share of a run: connections first, then, when all processes are ready, requests.

pub(crate) mod kind;
mod pacer;
mod share;
pub(crate) mod tally;
mod template;
pub(crate) mod timeline;
mod wire;
mod worker;

use std::fs;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use etebar::api::AmountIn;
use etebar::{Client, Endpoint};

use self::pacer::{Pacer, Schedule};
use self::share::Share;
use self::tally::Tally;
use self::template::{Shape, Template};
use self::wire::Wire;
pub(crate) use self::worker::GRACE;
use self::worker::{Mix, Worker};
use super::plan::{Plan, Requests};
use super::targets::Targets;
use crate::load::provision::Provisioned;
use crate::output::error::CliError;

/// Connections opened at once. Source: below the backlog of any listener.
const OPENED_AT_ONCE: usize = 64;

/// What a process is to do. Goes from the first process to the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) plan: Plan,
    /// Which process this is, from 0.
    pub(crate) share: u32,
    pub(crate) targets: Targets,
    pub(crate) sellers: Vec<Provisioned>,
    /// Decimals of the ledger's currency.
    pub(crate) decimals: u32,
    /// Begins every idempotency key.
    pub(crate) run: String,
    /// How long one request is repeated at most.
    pub(crate) retry_for: Duration,
}

/// A share whose connections are open.
pub(crate) struct Ready {
    job: Job,
    workers: Vec<Worker>,
}

impl Job {
    /// Opens the connections. One that fails now is opened again by its worker, and then counts as a failure.
    pub(crate) async fn prepare(self, client: &Client) -> Result<Ready, CliError> {
        let endpoints = self.targets.endpoints(client)?;
        let mut numbers = self.plan.connections_of(self.share);
        let mut opening = JoinSet::new();
        let mut workers = Vec::new();
        loop {
            while opening.len() < OPENED_AT_ONCE {
                let Some(number) = numbers.next() else { break };
                let servers = endpoints[number as usize % endpoints.len()].clone();
                let worker = self.worker(number, servers)?;
                opening.spawn(async move { Worker { wire: Wire::connect(&worker.servers[0]).await.ok(), ..worker } });
            }
            let Some(opened) = opening.join_next().await else { break };
            workers.push(opened.map_err(panicked)?);
        }
        Ok(Ready { job: self, workers })
    }

    fn worker(&self, number: u32, servers: Vec<Endpoint>) -> Result<Worker, CliError> {
        let mix = match self.plan.requests {
            Requests::Ledger => self.mix(number)?,
            Requests::NoOp => Mix::NoOp(Template::no_op()),
        };
        let (number, stride) = (number as usize, self.plan.connections as usize);
        let seller = number.checked_rem(self.sellers.len()).unwrap_or(0);
        Ok(Worker { servers, server: 0, wire: None, seller, stride, mix })
    }

    fn mix(&self, number: u32) -> Result<Mix, CliError> {
        let prefix = format!("{}-{number:05}-", self.run);
        let amount = AmountIn::from_minor(1, self.decimals).to_string();
        let secret = self.sellers.first().map_or("", |seller| seller.key.as_str());
        let phones = u64::from(self.plan.phones);
        let shape = Shape { prefix: &prefix, secret, amount: &amount, phones, seed: getrandom::u64()? };
        let batch = self.plan.batch;
        let charge = if batch == 1 { Template::single(&shape) } else { Template::batch(&shape, batch) };
        let (read, random) = (Template::read(secret), Rng::with_seed(getrandom::u64()?));
        Ok(Mix::Ledger { charge, read, reads_percent: self.plan.reads_percent, random })
    }
}

impl Ready {
    /// Drives requests from now on, until the end, and those under way until they are answered.
    pub(crate) async fn run(self) -> Result<Tally, CliError> {
        let (share, workers) = self.start()?;
        let (share, began) = (Arc::new(share), (processor_time(), Instant::now()));
        let mut tasks = JoinSet::new();
        for worker in workers {
            let share = Arc::clone(&share);
            tasks.spawn(async move { worker.run(&share).await });
        }
        while let Some(joined) = tasks.join_next().await {
            joined.map_err(panicked)?;
        }
        let share = Arc::into_inner(share).expect("the workers have ended");
        let mut tally = share.finish();
        let used = began.0.zip(processor_time()).map(|(before, after)| after.saturating_sub(before));
        tally.generator_cpu = used.map(|used| used.as_secs_f64() / began.1.elapsed().as_secs_f64());
        Ok(tally)
    }

    fn start(self) -> Result<(Share, Vec<Worker>), CliError> {
        let Ready { job, workers } = self;
        let plan = &job.plan;
        let warm_up = Duration::from_secs(u64::from(plan.warm_up_seconds));
        let length = warm_up + Duration::from_secs(u64::from(plan.seconds));
        let start = Instant::now();
        let schedule = plan.rate.map(|rate| Schedule { rate, processes: plan.processes, share: job.share });
        let pacer = schedule.map(|schedule| Pacer::start(schedule, start.into_std(), length)).transpose();
        let share = Share {
            retry_for: job.retry_for,
            start,
            measured_from: start + warm_up,
            end: start + length,
            charges_left: plan.limit_of(job.share).map(AtomicU64::new),
            pacer: pacer.map_err(|error| CliError::local(format!("no thread: {error}")))?,
            tally: Mutex::default(),
            sellers: job.sellers,
        };
        Ok((share, workers))
    }
}

/// Processor time of this program's main thread, which runs all workers; `None` where the system does not say.
fn processor_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn panicked(error: JoinError) -> CliError {
    CliError::local(error.to_string())
}
