//! What one caller may take: commands a second, searches and recomputations at once; and what stays for the others.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use etebar_node::http::{Limits, TurnBounds};
use serde_json::{Value, json};

use super::kit::{ADMIN, Node, Reply, text};

fn node_with_rate(per_second: u32) -> Node {
    Node::with(Limits { rate_per_key: NonZeroU32::new(per_second), ..Limits::default() }, 0)
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

/// Waits as long as a refusal says.
#[expect(clippy::disallowed_methods, reason = "the time itself is what is promised")]
fn wait(refused: &Reply) {
    std::thread::sleep(Duration::from_secs(retry_after(refused)));
}

#[test]
fn a_key_over_its_rate_is_refused_until_the_time_it_is_told_and_another_is_not() {
    let node = node_with_rate(8);
    let (_, key) = node.seller_with("busy", "1000");
    let (_, other) = node.seller_with("quiet", "1000");
    let mut done = 0;
    let refused = loop {
        let reply = node.charge(&key, &format!("c-{done}"), "1");
        assert_eq!(reply.header("ratelimit-policy"), Some("\"default\";q=8;w=1"), "{reply:?}");
        assert!(reply.header("ratelimit").is_some_and(|left| left.starts_with("\"default\";r=")), "{reply:?}");
        if reply.status != 201 {
            break reply;
        }
        done += 1;
        assert!(done < 200, "8 a second are not so many");
    };
    assert!(done >= 8, "a second's worth passes at once: {done}");
    assert!(refused.header("ratelimit").is_some_and(|left| left.starts_with("\"default\";r=0;t=")), "{refused:?}");
    assert_eq!(node.charge(&other, "c", "1").status, 201, "another key has a rate of its own");
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], (1_000 - done).to_string(), "a read is no command");
    wait(&refused);
    let late = node.charge(&key, &format!("c-{done}"), "1");
    assert_eq!((late.status, late.replayed()), (201, false), "what was refused left its key unused");
}

#[test]
fn a_batch_counts_its_charges_and_a_large_one_is_not_refused_permanently() {
    let node = node_with_rate(10);
    let (_, key) = node.seller_with("shop", "1000");
    let reply = node.post(&key, "/v1/charges/batch", "", &batch("large", 25));
    assert_eq!((reply.status, reply.header("ratelimit")), (200, Some("\"default\";r=0;t=3")), "{reply:?}");
    let single = node.charge(&key, "single", "1");
    assert_eq!(retry_after(&single), 2, "the debt of 15 and one more");
    let replay = node.post(&key, "/v1/charges/batch", "", &batch("large", 2));
    assert_eq!(replay.status, 429, "a replay takes the same way, and counts too");
    wait(&single);
    assert_eq!(node.charge(&key, "single", "1").status, 201);
    let refused = node.post(&key, "/v1/charges/batch", "", &batch("more", 30));
    wait(&refused);
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "974", "nothing of a refused batch is done");
    let again = node.post(&key, "/v1/charges/batch", "", &batch("more", 30));
    assert_eq!(again.status, 200, "a batch over the rate passes where nothing is owed: {again:?}");
}

#[test]
fn every_command_counts_and_what_is_malformed_does_not() {
    let node = node_with_rate(3);
    let left = |reply: &Reply| reply.header("ratelimit").and_then(|text| text.split(';').nth(1)).map(str::to_owned);
    for _ in 0..20 {
        let reply = node.post(ADMIN, "/v1/sellers", "", &json!({ "name": 7 }));
        assert_eq!((reply.status, left(&reply)), (400, None));
    }
    let seller = node.post(ADMIN, "/v1/sellers", "", &json!({ "name": "one" }));
    assert_eq!((seller.status, left(&seller)), (201, Some("r=2".into())));
    let id = text(&seller.json(), "id");
    for path in [format!("/v1/sellers/{id}/suspend"), format!("/v1/sellers/{id}/activate")] {
        assert_eq!(node.post(ADMIN, &path, "", &json!({})).status, 200);
    }
    let body = json!({ "role": "seller", "name": "one", "seller_id": id });
    let replies: Vec<_> = (0..5).map(|_| node.post(ADMIN, "/v1/keys", "", &body)).collect();
    let refused = replies.iter().find(|reply| reply.status == 429).expect("the rate binds admins too");
    assert!(retry_after(refused) == 1);
}

/// A node with so many records that a search through all of them takes a while and finds nothing.
fn node_with_much_to_search(limits: Limits) -> Node {
    let node = Node::with(limits, 0);
    let (_, key) = node.seller("poor");
    for at in 0..8 {
        assert_eq!(node.post(&key, "/v1/charges/batch", "", &batch(&format!("refused-{at}"), 8_000)).status, 200);
    }
    node
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
                assert_eq!(reply.status, 200, "another key's turn is not taken: {reply:?}");
                answered += 1;
            }
        });
        let replies = calls.into_iter().map(|call| call.join().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        replies
    })
}

#[test]
fn one_key_s_searches_and_recomputations_keep_nobody_from_theirs() {
    let scans = TurnBounds { running: 2, running_per_key: 1, present_per_key: 2 };
    let recounts = TurnBounds { running: 2, running_per_key: 1, present_per_key: 2 };
    let node = node_with_much_to_search(Limits { scans, recounts, ..Limits::default() });
    let auditor = node.post(ADMIN, "/v1/keys", "", &json!({ "role": "auditor", "name": "auditor" })).json();
    let auditor = text(&auditor, "key");
    for path in ["/v1/charges", "/v1/journal", "/v1/audit"] {
        let replies = at_the_same_time(&node, ADMIN, path, 24, &auditor, path);
        let count = |status: u16| replies.iter().filter(|reply| reply.status == status).count();
        assert!(count(200) >= 1, "{path}: {replies:?}");
        assert!(count(429) >= 1, "{path}: of 24 at the same time one is too many");
        assert_eq!(count(200) + count(429), 24, "{path}: {replies:?}");
        replies.iter().filter(|reply| reply.status == 429).for_each(|refused| assert_eq!(retry_after(refused), 1));
        assert_eq!(node.get(ADMIN, path).status, 200, "{path}: its turns came back");
    }
}

#[test]
fn a_hot_seller_s_books_add_up_at_one_position_while_charges_go_on() {
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
