//! One caller cannot take all: a seller's share of the remembered idempotency keys, and an API key's rate, over real
//! processes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::api::caller::{phone, unique};
use tests::{Cluster, Plan, Seller, books, eventually};

const WINDOW: Duration = Duration::from_secs(12);
const KEYS_MAX: usize = 1_000;

fn batch(count: usize) -> Value {
    let charges: Vec<_> =
        (0..count).map(|_| json!({"phone": phone(1), "amount": 1, "idempotency_key": unique("share")})).collect();
    json!({ "charges": charges })
}

/// Charges under new keys at any node that answers, until one is refused; the batches that were accepted, and why no more.
#[track_caller]
fn fill(cluster: &Cluster, seller: &Seller) -> (Vec<Value>, String) {
    let mut accepted = Vec::new();
    for count in std::iter::repeat_n(50, 30).chain(std::iter::repeat_n(1, 60)) {
        let charges = batch(count);
        let path = "/v1/charges/batch";
        let answer = cluster.seller(cluster.running()[0], seller).post(path, &charges);
        if answer.status == 200 {
            accepted.push(charges);
            continue;
        }
        assert_eq!(answer.refusal(), (503, "overloaded".into()), "{}", answer.text());
        assert!(answer.header("Retry-After").is_some());
        if count == 1 {
            return (accepted, answer.json()["detail"].as_str().expect("a detail").to_owned());
        }
    }
    panic!("all of {} batches were accepted", accepted.len());
}

fn keys_of(batches: &[Value]) -> usize {
    batches.iter().map(|batch| batch["charges"].as_array().expect("charges").len()).sum()
}

/// Whether all of a batch is answered as decided before.
fn is_replayed(cluster: &Cluster, seller: &Seller, batch: &Value) -> bool {
    let node = *cluster.running().last().expect("a node runs");
    let results = cluster.seller(node, seller).post("/v1/charges/batch", batch).expect(200).json();
    results["results"].as_array().expect("results").iter().all(|result| result["replayed"] == true)
}

#[test]
fn a_greedy_seller_is_refused_at_its_share_of_the_keys_and_the_others_continue() {
    let plan = Plan::new("key-shares").setting("ETEBAR_KEY_WINDOW", "12s");
    let cluster = plan.setting("ETEBAR_KEYS_MAX", KEYS_MAX.to_string()).start();
    let (greedy, modest) = (cluster.seller_with(1_000_000), cluster.seller_with(1_000_000));
    let begun = Instant::now();
    cluster.seller(1, &modest).post("/v1/charges/batch", &batch(10)).expect(200);
    let (accepted, why) = fill(&cluster, &greedy);
    let taken = keys_of(&accepted);
    // What the setup and the other seller used is missing from three quarters; one batch may pass them.
    assert!((KEYS_MAX * 3 / 4 - 40..=KEYS_MAX * 3 / 4 + 50).contains(&taken), "{taken} keys");
    for part in [format!("holds {}", taken + 1), "2 sellers".into(), format!("is {}", KEYS_MAX / 2)] {
        assert!(why.contains(&part), "{part} is not in: {why}");
    }

    let leader = cluster.leader();
    cluster.node(leader).kill();
    cluster.leader_after(leader);
    eventually("the modest seller to be served by the new leader", || {
        cluster.seller(cluster.running()[0], &modest).post("/v1/charges/batch", &batch(10)).status == 200
    });
    let within = || begun.elapsed() < WINDOW;
    let refused = cluster.seller(cluster.running()[0], &greedy).post("/v1/charges/batch", &batch(1));
    assert!(!within() || refused.status == 503, "the new leader counts the keys of before: {}", refused.text());
    for known in [&accepted[0], &accepted[accepted.len() - 1]] {
        assert!(is_replayed(&cluster, &greedy, known) || !within(), "known keys are answered");
    }
    let balance = cluster.admin(cluster.running()[0]).balance(&greedy.id);
    let left = 1_000_000 - i64::try_from(taken).expect("small");
    assert!(balance == left || !within(), "refused charges moved nothing: {balance}");

    eventually("the greedy seller to be served again", || {
        cluster.seller(cluster.running()[0], &greedy).post("/v1/charges/batch", &batch(400)).status == 200
    });
    assert!(begun.elapsed() >= WINDOW, "no key expires early");
    cluster.start_all();
    books::check(&cluster);
}

#[test]
fn a_rate_is_a_key_s_at_one_node() {
    let cluster = Plan::new("key-rate").setting("ETEBAR_RATE_PER_KEY", "20").start();
    let seller = cluster.seller_with(1_000);
    let (sold, more) = (batch(50), batch(3));
    let send = |id: u64, charges: &Value| cluster.seller(id, &seller).post("/v1/charges/batch", charges);
    send(1, &sold).expect(200);
    let refused = send(1, &more);
    assert_eq!(refused.refusal(), (429, "rate_limited".into()), "50 at 20 a second: {}", refused.text());
    assert_eq!(refused.header("RateLimit-Policy"), Some("\"default\";q=20;w=1"));
    assert!(refused.header("RateLimit").is_some_and(|left| left.starts_with("\"default\";r=0;t=")));
    assert!(is_replayed(&cluster, &seller, &sold), "another node has a rate of its own, of which replays take little");
    assert_eq!(cluster.admin(1).balance(&seller.id), 950, "refused charges moved nothing");
    eventually("the key to have recovered", || send(1, &more).status == 200);
}
