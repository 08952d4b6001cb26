//! The memory for idempotency keys is a window of ledger time with a bound: at small settings both are seen at work.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::api::caller::{self, phone, unique};
use tests::{Cluster, Plan, Seller, books, eventually, wait};

const WINDOW: Duration = Duration::from_secs(5);
const KEYS_MAX: usize = 1_000;

fn cluster(name: &str) -> Cluster {
    Plan::new(name).setting("ETEBAR_KEY_WINDOW", "5s").setting("ETEBAR_KEYS_MAX", KEYS_MAX.to_string()).start()
}

fn batch(count: usize) -> Value {
    let charges: Vec<_> =
        (0..count).map(|_| json!({"phone": phone(1), "amount": 1, "idempotency_key": unique("fill")})).collect();
    json!({ "charges": charges })
}

/// Charges in batches until one is refused; how many were accepted, and the last batch that was, as it was sent.
fn fill(cluster: &Cluster, seller: &Seller) -> (usize, Value) {
    let mut accepted = 0;
    let mut last = Value::Null;
    for count in std::iter::repeat_n(100, 20).chain(std::iter::repeat_n(1, 200)) {
        let charges = batch(count);
        let answer = cluster.seller(1, seller).post("/v1/charges/batch", &charges);
        if answer.status == 200 {
            accepted += count;
            last = charges;
        } else {
            assert_eq!(answer.refusal(), (503, "overloaded".into()));
            assert!(answer.header("Retry-After").is_some());
            if count == 1 {
                return (accepted, last);
            }
        }
    }
    panic!("{accepted} keys were accepted and none refused");
}

#[test]
fn a_key_is_forgotten_after_the_window_and_on_every_node_at_the_same_position() {
    let cluster = cluster("key-window");
    let seller = cluster.seller_with(1_000);
    let request = caller::charge("sale", &phone(1), 10);
    let sent = Instant::now();
    let first = cluster.seller(1, &seller).send(&request).expect(201);
    for id in 1..=3 {
        let again = cluster.seller(id, &seller).send(&request).expect(201);
        assert!(sent.elapsed() > WINDOW || again.replayed(), "within the window it replays");
    }
    let second = wait::until(4 * WINDOW, "the key to expire", || {
        let answer = cluster.seller(2, &seller).send(&request).expect(201);
        (!answer.replayed()).then_some(answer)
    });
    assert!(sent.elapsed() >= WINDOW, "it never expires early");
    assert_ne!(second.json()["id"], first.json()["id"]);
    assert_eq!(cluster.admin(3).balance(&seller.id), 980);
    let entries = books::check(&cluster);
    assert_eq!(entries.iter().filter(|entry| entry.kind == "charge").count(), 2);
    let by_key = cluster.seller(3, &seller).list("/v1/charges?idempotency_key=sale");
    assert_eq!(by_key.len(), 1, "a charge is found by its key within the window alone");
    assert_eq!(by_key[0]["id"], second.json()["id"]);
}

#[test]
fn where_the_keys_reach_their_bound_new_ones_are_refused_and_known_ones_replay() {
    let cluster = cluster("key-bound");
    let seller = cluster.seller_with(1_000_000);
    let filled = Instant::now();
    let (accepted, last) = fill(&cluster, &seller);
    assert!(accepted <= KEYS_MAX, "{accepted} keys of at most {KEYS_MAX}");
    // What the setup used, and one key expired early in the filling or two, are missing from the bound.
    assert!(
        accepted + 20 >= KEYS_MAX || filled.elapsed() > WINDOW,
        "refused only where all keys are in use: {accepted}"
    );
    for id in 1..=3 {
        let caller = cluster.seller(id, &seller);
        let refused = caller.charge(&unique("over"), &phone(1), 1);
        assert!(filled.elapsed() > WINDOW || refused.refusal() == (503, "overloaded".into()), "{}", refused.text());
        let replay = caller.post("/v1/charges/batch", &last).expect(200).json();
        let results = replay["results"].as_array().expect("results");
        assert!(filled.elapsed() > WINDOW || results.iter().all(|result| result["replayed"] == true), "{replay}");
    }
    let balance = cluster.admin(1).balance(&seller.id);
    assert_eq!(balance, 1_000_000 - i64::try_from(accepted).expect("a small count"), "refused charges moved nothing");
    let late = caller::charge("late", &phone(1), 1);
    eventually("service again, once the oldest keys have expired", || {
        cluster.seller(2, &seller).send(&late).status == 201
    });
    assert!(cluster.seller(3, &seller).send(&late).expect(201).replayed());
    eventually("free keys for many again", || {
        cluster.seller(1, &seller).post("/v1/charges/batch", &batch(500)).status == 200
    });
    books::check(&cluster);
}

#[test]
fn a_key_that_waited_through_a_restart_of_all_nodes_is_still_known_within_the_window() {
    let cluster = Plan::new("key-restart").setting("ETEBAR_KEY_WINDOW", "10m").start();
    let seller = cluster.seller_with(100);
    let request = caller::charge("kept", &phone(1), 10);
    let first = cluster.seller(1, &seller).send(&request).expect(201);
    cluster.kill_all();
    cluster.start_all();
    let again = cluster.seller(3, &seller).settle(&request);
    assert!(again.replayed());
    assert_eq!(again.body, first.body);
}
