//! What one caller may take: commands a second, large bodies, searches and recomputations at once; and what stays for the
//! others.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use etebar_node::http::{ConcurrencyBounds, Limits};
use serde_json::{Value, json};

use super::kit::{ADMIN, Node, Reply, parse, text};

fn node_with_rate(per_second: u32) -> Node {
    Node::with(&Limits { rate_per_key: NonZeroU32::new(per_second), ..Limits::default() }, 0)
}

fn batch(prefix: &str, count: usize) -> Value {
    let charge = |at| json!({ "phone": "09123456789", "amount": 1, "idempotency_key": format!("{prefix}-{at}") });
    json!({ "charges": (0..count).map(charge).collect::<Vec<_>>() })
}

/// The seconds after which the caller may come again.
#[track_caller]
fn retry_after(refused: &Reply) -> u64 {
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"), "{refused:?}");
    assert_eq!(refused.json()["retryable"], true);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let seconds = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("whole seconds");
    assert!(seconds >= 1);
    seconds
}

/// Sends a refused request again until it passes: after the time that the refusal said it must.
#[track_caller]
fn passes_in_time(refused: &Reply, again: impl Fn() -> Reply) -> Reply {
    let until = Instant::now() + Duration::from_secs(retry_after(refused));
    loop {
        let begun = Instant::now();
        let reply = again();
        if reply.status != 429 {
            return reply;
        }
        assert!(begun < until, "refused again after the time that the first refusal said: {reply:?}");
    }
}

/// What an answer says is left: commands, and seconds until all are back.
#[track_caller]
fn left(reply: &Reply) -> (u32, u64) {
    let text = reply.header("ratelimit").unwrap_or_else(|| panic!("no header about the rate: {reply:?}"));
    let (commands, seconds) = text.strip_prefix("\"default\";r=").and_then(|rest| rest.split_once(";t=")).unwrap();
    (commands.parse().unwrap(), seconds.parse().unwrap())
}

#[test]
fn a_key_over_its_rate_is_refused_until_its_retry_after_and_another_is_not() {
    let node = node_with_rate(8);
    let (_, key) = node.seller_with("busy", "1000");
    let (_, other) = node.seller_with("quiet", "1000");
    let mut done = 0;
    let refused = loop {
        let reply = node.charge(&key, &format!("c-{done}"), "1");
        assert_eq!(reply.header("ratelimit-policy"), Some("\"default\";q=8;w=1"), "{reply:?}");
        assert!(left(&reply).0 < 8, "{reply:?}");
        if reply.status != 201 {
            break reply;
        }
        done += 1;
        assert!(done < 200, "8 a second are not so many");
    };
    assert!(done >= 8, "a second's worth passes at once: {done}");
    assert_eq!(left(&refused), (0, 1), "{refused:?}");
    assert_eq!(node.charge(&other, "c", "1").status, 201, "another key has a rate of its own");
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], (1_000 - done).to_string(), "a read is no command");
    let late = passes_in_time(&refused, || node.charge(&key, &format!("c-{done}"), "1"));
    assert_eq!((late.status, late.replayed()), (201, false), "a refused request leaves its key unused");
}

#[test]
fn a_batch_counts_its_charges_and_a_large_one_is_not_refused_permanently() {
    let node = node_with_rate(10);
    let (_, key) = node.seller_with("shop", "1000");
    let reply = node.post(&key, "/v1/charges/batch", "", &batch("large", 25));
    assert_eq!((reply.status, left(&reply).0), (200, 0), "{reply:?}");
    assert!((2..=3).contains(&left(&reply).1), "25 at 10 a second: {reply:?}");
    let single = node.charge(&key, "single", "1");
    assert!((1..=2).contains(&retry_after(&single)), "the debt of 15 and one more: {single:?}");
    let refused = node.post(&key, "/v1/charges/batch", "", &batch("more", 30));
    assert_eq!(retry_after(&refused), retry_after(&single), "a batch waits no longer than a charge");
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "975", "nothing of a refused batch is done");
    let again = passes_in_time(&refused, || node.post(&key, "/v1/charges/batch", "", &batch("more", 30)));
    assert_eq!((again.status, left(&again).0), (200, 0), "{again:?}");
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "945");
}

#[test]
fn an_outcome_can_be_learned_however_often_it_is_asked_for_and_whatever_is_owed() {
    let node = node_with_rate(5);
    let (_, key) = node.seller_with("shop", "1000");
    let first = node.charge(&key, "k", "1");
    assert_eq!(first.status, 201);
    for at in 0..20 {
        let again = node.charge(&key, "k", "1");
        assert_eq!((again.status, again.replayed(), &again.body), (201, true, &first.body), "retry {at}");
    }
    assert_eq!(node.charge(&key, "new", "1").status, 201, "retries leave most of the rate for charges");
    let large = batch("large", 500);
    assert_eq!(node.post(&key, "/v1/charges/batch", "", &large).status, 200);
    let refused = node.charge(&key, "other", "1");
    assert!(retry_after(&refused) > 90, "{refused:?}");
    // Its sender did not get the answer, and owes for 100 s.
    for _ in 0..2 {
        let mut again = node.post(&key, "/v1/charges/batch", "", &large);
        if again.status == 429 {
            assert_eq!(retry_after(&again), 1, "an outcome is not waited for as new commands are");
            again = passes_in_time(&again, || node.post(&key, "/v1/charges/batch", "", &large));
        }
        let results = again.json()["results"].clone();
        assert!(results.as_array().unwrap().iter().all(|result| result["replayed"] == true), "{again:?}");
    }
    let mixed = json!({ "charges": [batch("large", 1)["charges"][0], batch("unknown", 1)["charges"][0]] });
    assert!(retry_after(&node.post(&key, "/v1/charges/batch", "", &mixed)) > 90, "new commands have to wait");
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "498");
}

#[test]
fn every_command_counts_and_what_is_malformed_does_not() {
    let node = node_with_rate(3);
    for _ in 0..20 {
        let reply = node.post(ADMIN, "/v1/sellers", "", &json!({ "name": 7 }));
        assert_eq!((reply.status, reply.header("ratelimit")), (400, None));
    }
    let seller = node.post(ADMIN, "/v1/sellers", "", &json!({ "name": "one" }));
    assert!(seller.status == 201 && left(&seller).0 < 3, "{seller:?}");
    let id = text(&seller.json(), "id");
    for verb in ["suspend", "activate"] {
        let reply = node.post(ADMIN, &format!("/v1/sellers/{id}/{verb}"), "", &json!({}));
        assert!(reply.status == 200 && left(&reply).0 < 3, "{reply:?}");
    }
    let body = json!({ "role": "seller", "name": "one", "seller_id": id });
    let mut replies = (0..100).map(|_| node.post(ADMIN, "/v1/keys", "", &body));
    let refused = replies.find(|reply| reply.status == 429).expect("the rate binds admins too");
    assert_eq!(retry_after(&refused), 1);
}

/// A batch under way whose body waits for leave to be sent, which a node gives once it reads it.
struct Upload {
    stream: TcpStream,
    body: String,
}

impl Upload {
    fn begin(node: &Node, key: &str, prefix: &str) -> Upload {
        let body = batch(prefix, 2_000).to_string();
        assert!(body.len() > 64 * 1024);
        let head = format!(
            "POST /v1/charges/batch HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
            body.len()
        );
        let mut stream = node.connect();
        stream.write_all(head.as_bytes()).unwrap();
        Upload { stream, body }
    }

    /// Waits until its body is read, and sends half of it.
    fn send_half(&mut self) {
        let mut leave = [0; 25];
        self.stream.read_exact(&mut leave).unwrap();
        assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
        let half = self.body.len() / 2;
        self.stream.write_all(&self.body.as_bytes()[..half]).unwrap();
        self.body.drain(..half);
    }

    /// Whether the node has said nothing so far.
    fn waits(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let read = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn finish(mut self) -> Reply {
        self.stream.write_all(self.body.as_bytes()).unwrap();
        self.answer()
    }

    fn answer(mut self) -> Reply {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        parse(&text)
    }
}

#[test]
fn one_key_s_slow_large_bodies_do_not_block_those_of_others() {
    let large_bodies = ConcurrencyBounds { running: 2, running_per_key: 1, present_per_key: 2 };
    let node = Node::with(&Limits { large_bodies, ..Limits::default() }, 0);
    let (_, slow) = node.seller_with("slow", "10000");
    let (_, other) = node.seller_with("other", "10000");
    let mut first = Upload::begin(&node, &slow, "first");
    first.send_half();
    let pair = [Upload::begin(&node, &slow, "second"), Upload::begin(&node, &slow, "third")];
    // One of them waits, and the other is one too many.
    let deadline = Instant::now() + Duration::from_secs(10);
    while pair.iter().all(Upload::waits) {
        assert!(Instant::now() < deadline, "a key's third is refused");
        std::thread::yield_now();
    }
    let (waiting, refused): (Vec<_>, Vec<_>) = pair.into_iter().partition(Upload::waits);
    assert_eq!((waiting.len(), refused.len()), (1, 1), "one waits");
    for refused in refused {
        assert_eq!(retry_after(&refused.answer()), 1);
    }
    for at in 0..3 {
        let mut upload = Upload::begin(&node, &other, &format!("other-{at}"));
        upload.send_half();
        assert_eq!(upload.finish().status, 200, "another key's permit is not taken");
    }
    assert_eq!(node.charge(&slow, "small", "1").status, 201, "a small body needs no permit");
    assert!(waiting.iter().all(Upload::waits), "a key reads one at a time");
    assert_eq!(first.finish().status, 200);
    for mut upload in waiting {
        upload.send_half();
        assert_eq!(upload.finish().status, 200, "a waiting request gets a permit");
    }
    assert_eq!(node.get(&slow, "/v1/sellers/me").json()["balance"], "5999");
}

/// A node with so many records that a search through all of them takes a while and finds nothing; and a seller with so many
/// entries that adding them up takes one.
fn node_with_much_to_read(limits: &Limits) -> (Node, String) {
    let node = Node::with(limits, 0);
    let (_, poor) = node.seller("poor");
    let (rich, key) = node.seller_with("rich", "1000000");
    for at in 0..8 {
        assert_eq!(node.post(&poor, "/v1/charges/batch", "", &batch(&format!("refused-{at}"), 8_000)).status, 200);
        assert_eq!(node.post(&key, "/v1/charges/batch", "", &batch(&format!("sold-{at}"), 8_000)).status, 200);
    }
    (node, rich)
}

/// The statuses of so many requests at the same time under one key, while another key asks one after the other.
fn at_the_same_time(node: &Node, key: &str, path: &str, count: usize, other: &str, other_path: &str) -> Vec<Reply> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..count).map(|_| scope.spawn(|| node.get(key, path))).collect();
        scope.spawn(|| {
            let mut answered = 0;
            while answered == 0 || !is_over.load(Ordering::Relaxed) {
                let reply = node.get(other, other_path);
                assert_eq!(reply.status, 200, "another key's permit is not taken: {reply:?}");
                answered += 1;
            }
        });
        let replies = calls.into_iter().map(|call| call.join().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        replies
    })
}

#[test]
fn one_key_s_searches_and_recomputations_do_not_block_those_of_others() {
    let scans = ConcurrencyBounds { running: 2, running_per_key: 1, present_per_key: 2 };
    let recounts = ConcurrencyBounds { running: 2, running_per_key: 1, present_per_key: 2 };
    let (node, rich) = node_with_much_to_read(&Limits { scans, recounts, ..Limits::default() });
    let books = format!("/v1/sellers/{rich}/reconciliation");
    let auditor = node.post(ADMIN, "/v1/keys", "", &json!({ "role": "auditor", "name": "auditor" })).json();
    let auditor = text(&auditor, "key");
    for path in ["/v1/charges", "/v1/journal", books.as_str()] {
        let replies = at_the_same_time(&node, ADMIN, path, 24, &auditor, path);
        let count = |status: u16| replies.iter().filter(|reply| reply.status == status).count();
        assert!(count(200) >= 1, "{path}: {replies:?}");
        assert!(count(429) >= 1, "{path}: of 24 at the same time one is too many");
        assert_eq!(count(200) + count(429), 24, "{path}: {replies:?}");
        replies.iter().filter(|reply| reply.status == 429).for_each(|refused| assert_eq!(retry_after(refused), 1));
        assert_eq!(node.get(ADMIN, path).status, 200, "{path}: its permits were released");
    }
}

#[test]
fn a_hot_seller_s_books_add_up_at_one_position_while_charges_continue() {
    let node = Node::start();
    let (seller, key) = node.seller_with("hot", "1000000");
    for at in 0..2 {
        assert_eq!(node.post(&key, "/v1/charges/batch", "", &batch(&format!("before-{at}"), 8_000)).status, 200);
    }
    let is_over = AtomicBool::new(false);
    let sold = std::thread::scope(|scope| {
        let selling = scope.spawn(|| {
            let mut sold = 16_000;
            while !is_over.load(Ordering::Relaxed) {
                let reply = node.post(&key, "/v1/charges/batch", "", &batch(&format!("meanwhile-{sold}"), 500));
                assert_eq!(reply.status, 200);
                sold += 500;
                node.seller_with(&format!("later {sold}"), "7");
            }
            sold
        });
        let begun = Instant::now();
        let mut rounds = 0;
        while rounds < 5 || (begun.elapsed() < Duration::from_secs(2) && rounds < 50) {
            let books = node.get(ADMIN, &format!("/v1/sellers/{seller}/reconciliation")).json();
            let entries = books["entries"].as_i64().unwrap();
            assert_eq!(books["consistent"], true, "{books}");
            assert!(entries > 16_000);
            assert_eq!(books["charges"], (1 - entries).to_string(), "{books}");
            assert_eq!((&books["sum"], &books["credits"]), (&books["balance"], &json!("0")), "{books}");
            assert_eq!(books["balance"], (1_000_001 - entries).to_string(), "{books}");
            let audit = node.get(ADMIN, "/v1/audit").json();
            assert_eq!(audit["consistent"], true, "{audit}");
            rounds += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        selling.join().unwrap()
    });
    let books = node.get(&key, "/v1/sellers/me/reconciliation").json();
    assert_eq!(books["entries"], json!(sold + 1));
    assert_eq!(books["charges"], (-sold).to_string());
}
