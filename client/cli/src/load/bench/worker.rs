//! One worker of the closed loop: a request, its answer, the next request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use tokio::time::{Instant, timeout};

use etebar::Endpoint;

use super::template::Template;
use super::wire::Wire;
use crate::load::latencies::Latencies;
use crate::load::provision::Provisioned;

/// Longest wait for one answer before the request is sent again elsewhere. Source: several elections.
const PATIENCE: Duration = Duration::from_secs(3);
/// Wait before a request is sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long after the end a request is still pursued. Source: a node's own limit of 10 s for a request.
const GRACE: Duration = Duration::from_secs(12);

/// What a worker works with.
pub(crate) struct Worker {
    /// Its own first.
    pub(crate) servers: Vec<Endpoint>,
    pub(crate) sellers: Arc<Vec<Provisioned>>,
    /// Index of its first seller; the next is `stride` further.
    pub(crate) first_seller: usize,
    pub(crate) stride: usize,
    pub(crate) template: Template,
    pub(crate) end: Instant,
    /// How long one request is pursued at most: half of the time for which its keys are remembered.
    pub(crate) pursuit: Duration,
}

/// What a worker counted.
pub(crate) struct Tally {
    pub(crate) latency: Latencies,
    pub(crate) requests: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) retried: u64,
    /// Accepted, by index of the seller.
    pub(crate) by_seller: BTreeMap<usize, u64>,
    /// Charges without an answer, by index of the seller: they may have been done.
    pub(crate) open_by_seller: BTreeMap<usize, u64>,
    /// What went wrong, and how often.
    pub(crate) kinds: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            latency: Latencies::new(),
            requests: 0,
            accepted: 0,
            refused: 0,
            errors: 0,
            retried: 0,
            by_seller: BTreeMap::new(),
            open_by_seller: BTreeMap::new(),
            kinds: BTreeMap::new(),
        }
    }

    pub(crate) fn merge(&mut self, other: &Tally) {
        self.latency.merge(&other.latency);
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.errors += other.errors;
        self.retried += other.retried;
        add_all(&mut self.by_seller, &other.by_seller);
        add_all(&mut self.open_by_seller, &other.open_by_seller);
        add_all(&mut self.kinds, &other.kinds);
    }

    fn wrong(&mut self, kind: String) {
        *self.kinds.entry(kind).or_default() += 1;
    }
}

fn add_all<K: Ord + Clone>(mine: &mut BTreeMap<K, u64>, theirs: &BTreeMap<K, u64>) {
    theirs.iter().for_each(|(key, count)| *mine.entry(key.clone()).or_default() += count);
}

/// What an answer means for the loop.
enum Next {
    Accepted(u64),
    /// All charges of the request were refused.
    Refused,
    /// Not done, or unknown: again, under the same key.
    Again,
    /// Neither: a fault of the request or of the node.
    Wrong,
}

/// Drives charges until its end.
pub(crate) async fn run(mut worker: Worker) -> Tally {
    let mut tally = Tally::new();
    let mut wire = None;
    let mut server = 0;
    let mut seller = worker.first_seller;
    while Instant::now() < worker.end {
        worker.template.next(&worker.sellers[seller].key);
        let started = Instant::now();
        drive(&worker, &mut wire, &mut server, seller, &mut tally).await;
        tally.latency.record(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        seller = (seller + worker.stride) % worker.sellers.len();
    }
    tally
}

/// One request, until it is answered or its time is up.
async fn drive(worker: &Worker, wire: &mut Option<Wire>, server: &mut usize, seller: usize, tally: &mut Tally) {
    let charges = worker.template.charges();
    let began = Instant::now();
    loop {
        let server_now = &worker.servers[*server % worker.servers.len()];
        let failure = match timeout(PATIENCE, send(wire, server_now, worker.template.again())).await {
            Ok(Ok((status, done))) => match next(status, done, charges) {
                Next::Accepted(done) => {
                    tally.requests += 1;
                    tally.accepted += done;
                    tally.refused += charges - done;
                    *tally.by_seller.entry(seller).or_default() += done;
                    return;
                }
                Next::Refused => {
                    tally.requests += 1;
                    tally.refused += charges;
                    return;
                }
                Next::Wrong => {
                    tally.errors += charges;
                    tally.wrong(format!("status {status}"));
                    return;
                }
                Next::Again => format!("status {status}"),
            },
            Ok(Err(failure)) => failure,
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        // What is still under way on this connection must not answer the next request.
        *wire = None;
        *server += 1;
        tally.wrong(failure);
        if Instant::now() > worker.end + GRACE || began.elapsed() > worker.pursuit {
            tally.errors += charges;
            *tally.open_by_seller.entry(seller).or_default() += charges;
            return;
        }
        tally.retried += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// The status and how many charges of a batch were done, or what went wrong.
async fn send(wire: &mut Option<Wire>, server: &Endpoint, request: &[u8]) -> Result<(u16, u64), String> {
    // Taken while the request is under way: one that is given up leaves no connection with half an answer.
    let mut connection = match wire.take() {
        Some(connection) => connection,
        None => Wire::connect(server).await.map_err(|failure| failure.to_string())?,
    };
    let reply = connection.exchange(request).await.map_err(|error| error.kind().to_string())?;
    let done = if reply.status == 200 { memmem::find_iter(reply.body, b"\"charge\":{").count() as u64 } else { 0 };
    let (status, closes) = (reply.status, reply.closes);
    if !closes {
        *wire = Some(connection);
    }
    Ok((status, done))
}

fn next(status: u16, done: u64, charges: u64) -> Next {
    match status {
        201 => Next::Accepted(1),
        200 => Next::Accepted(done.min(charges)),
        409 | 422 => Next::Refused,
        408 | 429 | 500 | 503 | 504 | 507 => Next::Again,
        _ => Next::Wrong,
    }
}
