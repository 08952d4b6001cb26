//! Load: workers that charge without pause over all nodes, each charge under one key until its outcome is known.
//!
//! Invariant: a worker starts its next charge only when the last has an answer that settles it, or when the load
//! ends: then the charge is listed as open, and may or may not have been done.

pub mod batches;
pub mod dice;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::api::caller::{self, Seller};
use crate::api::http::{Connection, Request, Response};
use crate::cluster::Cluster;
use crate::wait;
use dice::Dice;

/// Longest wait for one answer before the next node is asked. Source: longer than an election.
const ATTEMPT_WAIT: Duration = Duration::from_secs(3);

/// A running load.
#[derive(Debug)]
pub struct Load {
    progress: Arc<Progress>,
    workers: Vec<JoinHandle<LoadResult>>,
}

/// How far a load is, for its workers and for callers that wait.
#[derive(Debug, Default)]
struct Progress {
    /// No new charge begins.
    closing: AtomicBool,
    /// Open charges are given up.
    ended: AtomicBool,
    acknowledged: AtomicU64,
}

/// What became of all charges of a load.
#[derive(Debug, Default)]
pub struct LoadResult {
    /// Charges whose outcome is known.
    pub settled: Vec<Settled>,
    /// Charges whose outcome was not known when the load ended.
    pub open: Vec<Request>,
    /// Answers that no load should get.
    pub unexpected: Vec<String>,
}

/// A charge and the answer that settled it.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Who charged.
    pub seller: Seller,
    /// What was sent, again and again.
    pub request: Request,
    /// The phone, as E.164.
    pub phone: String,
    /// In whole units.
    pub amount: i64,
    /// What settled it.
    pub answer: Response,
    /// How many attempts it took, from 1.
    pub attempts: u32,
    /// When the answer came.
    pub at: Instant,
    /// How long that was after the first attempt.
    pub took: Duration,
}

impl Load {
    /// Starts `workers` that charge 1 to 9 units each time, each for the seller whose turn it is. Prints its seed.
    pub fn start(cluster: &Cluster, sellers: &[Seller], workers: usize, seed: u64) -> Load {
        Load::start_at(cluster, &cluster.ids(), sellers, workers, seed)
    }

    /// The same at these nodes alone.
    pub fn start_at(cluster: &Cluster, ids: &[u64], sellers: &[Seller], workers: usize, seed: u64) -> Load {
        eprintln!("load with seed {seed}");
        let progress = Arc::new(Progress::default());
        let addresses: Vec<SocketAddr> = ids.iter().map(|id| cluster.address(*id)).collect();
        let workers = (0..workers)
            .map(|index| {
                let worker = Worker {
                    progress: progress.clone(),
                    seller: sellers[index % sellers.len()].clone(),
                    links: addresses.iter().map(|address| (*address, None)).collect(),
                    dice: Dice(seed.wrapping_mul(1_000_003).wrapping_add(index as u64 + 1)),
                };
                std::thread::spawn(move || worker.run())
            })
            .collect();
        Load { progress, workers }
    }

    /// How many charges were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.progress.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more charges were acknowledged than now.
    #[track_caller]
    pub fn wait_for_more(&self, charges: u64) {
        let goal = self.acknowledged() + charges;
        wait::eventually(&format!("{charges} more charges"), || self.acknowledged() >= goal);
    }

    /// Lets every charge that began be settled, then ends.
    #[track_caller]
    pub fn finish(self) -> LoadResult {
        self.progress.closing.store(true, Ordering::Relaxed);
        // What is not settled by then is given up, and counts as open.
        wait::within(2 * wait::PATIENCE, || self.workers.iter().all(JoinHandle::is_finished).then_some(()));
        self.progress.ended.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Ends at once; what is open stays open.
    #[track_caller]
    pub fn abandon(self) -> LoadResult {
        self.progress.closing.store(true, Ordering::Relaxed);
        self.progress.ended.store(true, Ordering::Relaxed);
        self.join()
    }

    #[track_caller]
    fn join(self) -> LoadResult {
        let mut all = LoadResult::default();
        for worker in self.workers {
            let result = worker.join().expect("no worker panics");
            all.settled.extend(result.settled);
            all.open.extend(result.open);
            all.unexpected.extend(result.unexpected);
        }
        assert!(all.unexpected.is_empty(), "unexpected answers: {:?}", &all.unexpected[..all.unexpected.len().min(5)]);
        all
    }
}

impl LoadResult {
    /// The charges that were answered with 201.
    pub fn acknowledged(&self) -> impl Iterator<Item = &Settled> {
        self.settled.iter().filter(|settled| settled.answer.status == 201)
    }

    /// The highest position that an acknowledgement named.
    pub fn last_position(&self) -> u64 {
        self.acknowledged().map(|settled| settled.answer.applied()).max().unwrap_or(0)
    }
}

struct Worker {
    progress: Arc<Progress>,
    seller: Seller,
    links: Vec<(SocketAddr, Option<Connection>)>,
    dice: Dice,
}

impl Worker {
    fn run(mut self) -> LoadResult {
        let mut result = LoadResult::default();
        while !self.progress.closing.load(Ordering::Relaxed) {
            let phone = caller::phone(self.dice.below(1_000));
            let amount = 1 + self.dice.below(9).cast_signed();
            let request = caller::charge(&caller::unique("load"), &phone, amount).bearer(&self.seller.key);
            self.settle(request, &phone, amount, &mut result);
        }
        result
    }

    fn settle(&mut self, request: Request, phone: &str, amount: i64, result: &mut LoadResult) {
        let begun = Instant::now();
        for attempts in 1.. {
            let target = self.dice.index(self.links.len());
            match self.attempt(target, &request) {
                Some(answer) if matches!(answer.status, 201 | 409) => {
                    self.progress.acknowledged.fetch_add(u64::from(answer.status == 201), Ordering::Relaxed);
                    let (seller, phone) = (self.seller.clone(), phone.to_owned());
                    let (at, took) = (Instant::now(), begun.elapsed());
                    result.settled.push(Settled { seller, request, phone, amount, answer, attempts, at, took });
                    return;
                }
                Some(answer) if !matches!(answer.status, 503 | 504) => {
                    result.unexpected.push(format!("{}: {}", answer.status, answer.text()));
                    return;
                }
                Some(_) | None if self.progress.ended.load(Ordering::Relaxed) => {
                    result.open.push(request);
                    return;
                }
                Some(_) | None => wait::let_pass(Duration::from_millis(5)),
            }
        }
    }

    fn attempt(&mut self, target: usize, request: &Request) -> Option<Response> {
        let (address, link) = &mut self.links[target];
        let mut connection = match link.take() {
            Some(connection) => connection,
            None => Connection::open(*address, ATTEMPT_WAIT).ok()?,
        };
        let answer = connection.send(request).ok()?;
        *link = Some(connection);
        Some(answer)
    }
}
