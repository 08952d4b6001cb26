//! One worker of the closed loop: a request, its answer, the next request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use tokio::time::{Instant, timeout};

use etebar::{Endpoint, Failure, Stopwatch};

use super::template::Template;
use super::wire::Wire;
use crate::load::latencies::Latencies;
use crate::load::provision::Provisioned;

/// Longest wait for one answer before the request is sent again elsewhere. Source: several elections.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Wait before a request is sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long after the end a request without an answer is still repeated. Source: a node's own limit of 10 s for a request.
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
    /// How long one request is repeated at most: half of the time for which its keys are remembered.
    pub(crate) retry_for: Duration,
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
    /// Charges that may have been done and got no answer that says so, by index of the seller.
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

    /// A request ends without an answer that decides it.
    fn end_without(&mut self, seller: usize, charges: u64, may_be_done: bool) {
        self.errors += charges;
        if may_be_done {
            *self.open_by_seller.entry(seller).or_default() += charges;
        }
    }

    fn wrong(&mut self, kind: String) {
        *self.kinds.entry(kind).or_default() += 1;
    }
}

fn add_all<K: Ord + Clone>(mine: &mut BTreeMap<K, u64>, theirs: &BTreeMap<K, u64>) {
    for (key, count) in theirs {
        *mine.entry(key.clone()).or_default() += count;
    }
}

/// What an answer means for the loop.
enum Next {
    Accepted(u64),
    /// All charges of the request were refused.
    Refused,
    /// Not done: again, under the same key.
    NotYet,
    /// May have been done: the same.
    Unknown,
    /// This attempt was not done, and another will not be.
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
    let (began, mut may_be_done) = (Stopwatch::start(), false);
    loop {
        let server_now = &worker.servers[*server % worker.servers.len()];
        let failure = match timeout(ANSWER_TIMEOUT, send(wire, server_now, worker.template.again())).await {
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
                    tally.wrong(format!("status {status}"));
                    return tally.end_without(seller, charges, may_be_done);
                }
                Next::NotYet => format!("status {status}"),
                Next::Unknown => {
                    may_be_done = true;
                    format!("status {status}")
                }
            },
            Ok(Err(failure)) => {
                may_be_done |= failure.may_be_done();
                failure.to_string()
            }
            Err(_) => {
                may_be_done = true;
                Failure::TimedOut(ANSWER_TIMEOUT).to_string()
            }
        };
        // An answer still under way on this connection must not count for the next request.
        *wire = None;
        *server += 1;
        tally.wrong(failure);
        if Instant::now() > worker.end + GRACE || began.elapsed() > worker.retry_for {
            return tally.end_without(seller, charges, may_be_done);
        }
        tally.retried += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// The status and how many charges of a batch were done, or what went wrong.
async fn send(wire: &mut Option<Wire>, server: &Endpoint, request: &[u8]) -> Result<(u16, u64), Failure> {
    // Taken while the request is under way: one that is given up leaves no connection with half an answer.
    let mut connection = match wire.take() {
        Some(connection) => connection,
        None => Wire::connect(server).await?,
    };
    let reply = connection.exchange(request).await.map_err(|error| Failure::Broken(error.kind().to_string()))?;
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
        408 | 429 | 503 | 507 => Next::NotYet,
        400 | 401 | 403 | 404 | 405 | 413 | 415 | 431 => Next::Wrong,
        _ => Next::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use uuid::Uuid;

    use etebar::Client;

    use super::super::template::Shape;
    use super::*;

    const BROKEN: u16 = 0;

    /// What a worker counts of one charge whose attempts are answered with these statuses: errors, and what may be done.
    async fn counted(statuses: &'static [u16]) -> (u64, u64) {
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new([format!("http://{}", node.local_addr().unwrap())]).unwrap();
        let seller = Provisioned { seller_id: Uuid::from_u128(1), key: "etb_x".to_owned() };
        let shape = Shape { prefix: "p-", secret: &seller.key, amount: "1", seed: 1 };
        let mut worker = Worker {
            servers: vec![client.node_endpoint(&format!("http://{}", node.local_addr().unwrap())).unwrap()],
            template: Template::single(&shape),
            sellers: Arc::new(vec![seller]),
            first_seller: 0,
            stride: 1,
            end: Instant::now(),
            retry_for: Duration::from_mins(1),
        };
        let answers = tokio::spawn(async move {
            for status in statuses {
                let (mut caller, _) = node.accept().await.unwrap();
                assert!(caller.read(&mut [0; 1_024]).await.unwrap() > 0);
                if *status != BROKEN {
                    let answer = format!("HTTP/1.1 {status} X\r\netebar-node: 1\r\ncontent-length: 0\r\n\r\n");
                    caller.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        let mut tally = Tally::new();
        worker.template.next("etb_x");
        drive(&worker, &mut None, &mut 0, 0, &mut tally).await;
        answers.await.unwrap();
        (tally.errors, tally.open_by_seller.get(&0).copied().unwrap_or(0))
    }

    #[tokio::test]
    async fn a_refusal_of_one_attempt_leaves_open_what_became_of_an_earlier_one() {
        let certain: [&[u16]; 5] = [&[401], &[503, 401], &[429, 403], &[507, 404], &[408, 413]];
        for statuses in certain {
            assert_eq!(counted(statuses).await, (1, 0), "{statuses:?}");
        }
        let open: [&[u16]; 6] =
            [&[BROKEN, 401], &[500, 403], &[504, 503, 401], &[302, 404], &[202, 400], &[BROKEN, 429, 415]];
        for statuses in open {
            assert_eq!(counted(statuses).await, (1, 1), "{statuses:?}");
        }
        assert_eq!(counted(&[BROKEN, 409]).await, (0, 0), "a decision of the ledger settles every attempt");
    }
}
