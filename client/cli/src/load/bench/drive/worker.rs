//! One worker: a request on a connection of its own, its answer, the next request, when that is due.

use std::time::Duration;

use fastrand::Rng;
use memchr::memmem;
use tokio::time::{Instant, timeout};

use etebar::{Endpoint, Failure, Stopwatch};

use super::kind::Kind;
use super::share::Share;
use super::tally::Ended;
use super::template::Template;
use super::wire::Wire;

/// Longest wait for one answer before the request is sent again elsewhere. Source: several elections.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Wait before a request is sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long after the end a request without an answer is still repeated. Source: a node's own limit of 10 s for a request.
pub(crate) const GRACE: Duration = Duration::from_secs(12);
/// What stands before an entry's number in an answer.
const ENTRY: &[u8] = b"\"entry\":";
/// What stands before a problem's code, and how long that is at most.
const CODE: &[u8] = b"\"code\":\"";
const CODE_BYTES: usize = 40;

/// What a worker works with.
pub(crate) struct Worker {
    /// Its own first.
    pub(crate) servers: Vec<Endpoint>,
    /// Index of the server that it uses, modulo their number.
    pub(crate) server: usize,
    pub(crate) wire: Option<Wire>,
    /// Index of its next seller.
    pub(crate) seller: usize,
    /// How far the seller after that is.
    pub(crate) stride: usize,
    /// What it asks.
    pub(crate) mix: Mix,
}

/// Requests of a worker.
pub(crate) enum Mix {
    Ledger { charge: Template, read: Template, reads_percent: u32, random: Rng },
    NoOp(Template),
}

impl Mix {
    /// Makes the next request; its kind. `None` where the limit of charges is reached.
    fn next(&mut self, share: &Share, seller: usize) -> Option<Kind> {
        match self {
            Mix::Ledger { charge, read, reads_percent, random } => {
                let secret = &share.sellers[seller].key;
                if random.u32(..100) < *reads_percent {
                    read.next(secret);
                    return Some(Kind::Read);
                }
                share.take_charge().then(|| charge.next(secret))?;
                Some(Kind::Charge)
            }
            Mix::NoOp(template) => {
                template.next("");
                Some(Kind::NoOp)
            }
        }
    }

    fn template(&self, kind: Kind) -> &Template {
        match (self, kind) {
            (Mix::Ledger { charge, .. }, Kind::Charge) => charge,
            (Mix::Ledger { read, .. }, Kind::Read | Kind::NoOp) => read,
            (Mix::NoOp(template), Kind::Charge | Kind::Read | Kind::NoOp) => template,
        }
    }
}

/// What an answer means for the loop.
enum Next {
    /// So many charges of it were done.
    Answered(u64),
    /// All charges of the request were refused.
    Refused,
    /// Not done: again, under the same key.
    NotYet,
    /// May have been done: the same.
    Unknown,
    /// This attempt was not done, and another will not be.
    Wrong,
}

/// An answer, as far as the loop looks at it.
#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    /// Charges of a batch that were done.
    done: u64,
    /// The newest entry that it names, or 0.
    entry: u64,
    /// The code of a problem.
    code: Option<String>,
}

impl Reply {
    fn failure(&self) -> String {
        let code = self.code.as_deref().map_or_else(String::new, |code| format!(" {code}"));
        format!("status {}{code}", self.status)
    }
}

impl Worker {
    /// Sends requests until the share's end.
    pub(crate) async fn run(mut self, share: &Share) {
        while let Some(intended) = share.next_start().await {
            let Some(kind) = self.mix.next(share, self.seller) else { return share.cut_short() };
            let ended = self.drive(share, kind).await;
            share.count(kind, self.seller, intended, &ended);
            if !share.sellers.is_empty() {
                self.seller = (self.seller + self.stride) % share.sellers.len();
            }
        }
    }

    /// One request, until it is answered or its time is up.
    async fn drive(&mut self, share: &Share, kind: Kind) -> Ended {
        let charges = self.mix.template(kind).charges();
        let (began, mut may_be_done, mut retried) = (Stopwatch::start(), false, 0);
        let without = |may_be_done: bool, retried: u64| Ended {
            errors: charges.max(1),
            open: if may_be_done { charges } else { 0 },
            retried,
            ..Ended::default()
        };
        loop {
            let failure = match timeout(ANSWER_TIMEOUT, self.send(kind)).await {
                Ok(Ok(reply)) => match next(&reply, charges) {
                    Next::Answered(accepted) => {
                        let refused = charges - accepted;
                        let entry = reply.entry;
                        return Ended { is_answered: true, accepted, refused, entry, retried, ..Ended::default() };
                    }
                    Next::Refused => {
                        return Ended { is_answered: true, refused: charges.max(1), retried, ..Ended::default() };
                    }
                    Next::Wrong => {
                        share.failed(reply.failure());
                        return without(may_be_done, retried);
                    }
                    Next::NotYet => reply.failure(),
                    Next::Unknown => {
                        may_be_done = true;
                        reply.failure()
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
            self.wire = None;
            self.server += 1;
            share.failed(failure);
            if Instant::now() > share.end + GRACE || began.elapsed() > share.retry_for {
                return without(may_be_done, retried);
            }
            retried += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One attempt.
    async fn send(&mut self, kind: Kind) -> Result<Reply, Failure> {
        // Taken while the request is under way: one that is given up leaves no connection with half an answer.
        let mut connection = match self.wire.take() {
            Some(connection) => connection,
            None => Wire::connect(&self.servers[self.server % self.servers.len()]).await?,
        };
        let request = self.mix.template(kind).again();
        let reply = connection.exchange(request).await.map_err(|error| Failure::Broken(error.kind().to_string()))?;
        let is_batch = kind == Kind::Charge && reply.status == 200;
        let done = if is_batch { memmem::find_iter(reply.body, b"\"charge\":{").count() as u64 } else { 0 };
        let entry = if kind == Kind::Charge { newest_entry(reply.body) } else { 0 };
        let code = if reply.status < 400 { None } else { code(reply.body) };
        let (status, closes) = (reply.status, reply.closes);
        if !closes {
            self.wire = Some(connection);
        }
        Ok(Reply { status, done, entry, code })
    }
}

/// The last entry that an answer names; a batch has them in order.
fn newest_entry(body: &[u8]) -> u64 {
    let Some(at) = memmem::rfind(body, ENTRY) else { return 0 };
    let digits = body[at + ENTRY.len()..].iter().take(20).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// The code of a problem, where it is one of ours by its look.
fn code(body: &[u8]) -> Option<String> {
    let at = memmem::find(body, CODE)? + CODE.len();
    let length = body[at..].iter().take(CODE_BYTES).position(|byte| !(byte.is_ascii_lowercase() || *byte == b'_'))?;
    (length > 0).then(|| body[at..at + length].iter().map(|byte| char::from(*byte)).collect())
}

fn next(reply: &Reply, charges: u64) -> Next {
    match reply.status {
        201 => Next::Answered(charges.min(1)),
        200 => Next::Answered(reply.done.min(charges)),
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

    use etebar::Client;

    use super::super::template::Shape;
    use super::*;

    const BROKEN: u16 = 0;

    /// What a worker counts of one charge whose attempts are answered with these statuses: errors, and what may be done.
    async fn counted(statuses: &'static [u16]) -> (u64, u64) {
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", node.local_addr().unwrap());
        let client = Client::new([&url]).unwrap();
        let shape = Shape { prefix: "p-", secret: "etb_x", amount: "1", phones: 1, seed: 1 };
        let mut worker = Worker {
            servers: vec![client.node_endpoint(&url).unwrap()],
            server: 0,
            wire: None,
            seller: 0,
            stride: 1,
            mix: Mix::Ledger {
                charge: Template::single(&shape),
                read: Template::read("etb_x"),
                reads_percent: 0,
                random: Rng::with_seed(1),
            },
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
        let share = Share::of_one_seller("etb_x");
        let kind = worker.mix.next(&share, 0).unwrap();
        let ended = worker.drive(&share, kind).await;
        answers.await.unwrap();
        (ended.errors, ended.open)
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

    #[test]
    fn the_code_of_a_problem_is_named_and_nothing_else_of_it() {
        assert_eq!(code(br#"{"type":"/p","code":"no_leader","title":"T"}"#).as_deref(), Some("no_leader"));
        assert_eq!(code(br#"{"code":"No\u001b"}"#), None);
        assert_eq!(code(format!(r#"{{"code":"{}"}}"#, "x".repeat(99)).as_bytes()), None);
        assert_eq!(code(b"<html>"), None);
    }

    #[test]
    fn the_newest_entry_is_the_last_that_an_answer_names() {
        assert_eq!(newest_entry(br#"{"charge":{"entry":41}},{"charge":{"entry":42,"x":1}}"#), 42);
        assert_eq!(newest_entry(br#"{"entry":"x"}"#), 0);
        assert_eq!(newest_entry(b""), 0);
        assert_eq!(newest_entry(br#"{"entry":99999999999999999999999"#), u64::MAX);
    }
}
