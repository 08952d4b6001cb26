//! The library behind a proxy that answers falsely: only a node's own answer is certain.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use etebar::api::{AmountIn, BatchItem, BatchRequest, NewCharge, NewDecision};
use etebar::{Client, Error, IdempotencyKey};
use serde_json::json;
use tests::faults::lying_proxy::{About, LIES, Lie, Proxy};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::fake::{Asked, CHARGE, ENOUGH, ENOUGH_TEXT, Fake, Reaction};
use crate::program::{code, err, etebar};

fn amount() -> AmountIn {
    AmountIn::from_minor(5_000, 0)
}

fn charge() -> NewCharge<'static> {
    NewCharge { phone: "09123456789".into(), amount: amount(), reference: None }
}

fn key() -> IdempotencyKey {
    IdempotencyKey::parse("order-17").unwrap()
}

/// A node whose cluster remembers keys for so long, and which does every command.
fn node(window_seconds: u64) -> Fake {
    Fake::start(move |asked, _| done(asked, window_seconds))
}

fn done(asked: &Asked, window_seconds: u64) -> Reaction {
    let id = Uuid::from_u128(10);
    let body = match asked.line.as_str() {
        "GET /v1/cluster" => cluster(window_seconds),
        "POST /v1/charges" => return Reaction::Answer(201, vec!["x-request-id: n-1"], CHARGE.to_owned()),
        "POST /v1/charges/batch" => format!(r#"{{"results":[{{"status":201,"replayed":false,"charge":{CHARGE}}}]}}"#),
        line if line.starts_with("DELETE ") => return Reaction::Answer(204, vec![], String::new()),
        _ => json!({
            "id": id, "seller_id": id, "amount": "1", "note": null, "status": "approved",
            "created_at": "2026-11-01T08:30:00.000Z", "decided_at": null, "decided_by": null, "reason": null,
        })
        .to_string(),
    };
    Reaction::Answer(200, vec!["x-request-id: n-1"], body)
}

fn cluster(window_seconds: u64) -> String {
    json!({"leader": 1, "term": 1, "applied": 9, "version": "0", "members": [], "key_window_seconds": window_seconds})
        .to_string()
}

fn behind(node: &Fake) -> (Proxy, Client) {
    let proxy = Proxy::before(node.url.trim_start_matches("http://").parse().unwrap());
    let client = Client::new([proxy.url()]).unwrap().with_timeout(ENOUGH);
    (proxy, client)
}

fn posts(fake: &Fake) -> usize {
    fake.asked().iter().filter(|asked| asked.line.starts_with("POST ")).count()
}

#[tokio::test]
async fn every_lie_about_a_write_leaves_its_outcome_unknown_and_about_a_read_is_no_refusal() {
    let mut checked = JoinSet::new();
    // All at once, each behind a proxy of its own: they do little but wait.
    for lie in &LIES {
        checked.spawn(check(lie));
    }
    while let Some(lie) = checked.join_next().await {
        lie.unwrap();
    }
}

async fn check(lie: &'static Lie) {
    let node = node(86_400);
    let (proxy, client) = behind(&node);
    let batch = BatchRequest {
        charges: vec![BatchItem {
            phone: "09123456789".into(),
            amount: amount(),
            idempotency_key: "k".into(),
            reference: None,
        }],
    };
    let id = Uuid::from_u128(10);
    proxy.falsify(lie, About::Writes);
    // A bare 204 is what a node answers a revocation with, but for its name.
    let outcomes = [
        ("charge", client.charge(&charge(), &key()).await.unwrap_err()),
        ("batch", client.charge_batch(&batch).await.unwrap_err()),
        ("verdict", client.approve(id, &NewDecision::default()).await.unwrap_err()),
        ("revocation", client.revoke_key(id).await.unwrap_err()),
    ];
    for (verb, error) in outcomes {
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{} of a {verb}: {error}", lie.name);
    }
    proxy.falsify(lie, About::Everything);
    let error = client.credit_request(id).await.unwrap_err();
    assert!(matches!(error, Error::NotDone(_)), "{} of a read: {error}", lie.name);
    proxy.be_honest();
    let answer = client.charge(&charge(), &key()).await;
    assert!(answer.is_ok(), "{}: {answer:?}", lie.name);
    let charges = node.asked().into_iter().filter(|asked| asked.line == "POST /v1/charges");
    assert!(charges.map(|asked| asked.key).all(|sent| sent.as_deref() == Some("order-17")), "{}", lie.name);
}

#[test]
fn a_page_instead_of_a_read_exits_with_3() {
    let check = |lie: &'static Lie| {
        let node = node(86_400);
        let (proxy, _) = behind(&node);
        proxy.falsify(lie, About::Everything);
        let output = etebar(&proxy.url(), &["--timeout", ENOUGH_TEXT, "audit"]);
        assert_eq!(code(&output), 3, "{}: {}", lie.name, err(&output));
        assert!(err(&output).contains("names no node"), "{}: {}", lie.name, err(&output));
    };
    std::thread::scope(|scope| {
        for lie in LIES.iter().filter(|lie| ["401", "404", "503 as text", "200 page"].contains(&lie.name)) {
            scope.spawn(move || check(lie));
        }
    });
}

#[tokio::test]
async fn a_key_is_repeated_for_half_of_the_time_for_which_it_is_remembered() {
    let node = node(8);
    let (proxy, client) = behind(&node);
    proxy.falsify(&LIES[0], About::Writes);
    let client = client.with_timeout(Duration::from_secs(30));
    let started = Instant::now();
    let error = client.charge(&charge(), &key()).await.unwrap_err();
    let took = started.elapsed();
    assert!(matches!(&error, Error::OutcomeUnknown(unknown) if unknown.key_window == Some(Duration::from_secs(8))));
    assert!(error.to_string().contains("within 8 s"), "{error}");
    assert!(posts(&node) > 1, "it is repeated");
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(node.asked().iter().filter(|asked| asked.line == "GET /v1/cluster").count(), 1, "it is learned once");
}

#[tokio::test]
async fn where_no_node_says_how_long_keys_are_remembered_the_shortest_time_is_assumed() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&sent);
    let node = Fake::start(move |asked, _| {
        if asked.line.starts_with("POST ") {
            log.lock().unwrap().push(Instant::now());
        }
        done(asked, 86_400)
    });
    let (proxy, client) = behind(&node);
    let client = client.with_timeout(Duration::from_secs(5));
    let spread = || {
        let mut sent = sent.lock().unwrap();
        let spread = (sent.len(), *sent.last().unwrap() - sent[0]);
        sent.clear();
        spread
    };
    proxy.falsify(&LIES[0], About::Everything);
    let error = client.charge(&charge(), &key()).await.unwrap_err();
    assert!(matches!(&error, Error::OutcomeUnknown(_)), "{error}");
    assert!(error.to_string().contains("could not be learned"), "{error}");
    let (times, took) = spread();
    assert!(times > 1 && took < Duration::from_secs(2), "{times} in {took:?}");
    // A verdict needs no memory: the same again moves nothing, whenever it comes.
    client.approve(Uuid::from_u128(10), &NewDecision::default()).await.unwrap_err();
    let (_, took) = spread();
    assert!(took > Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_page_that_is_followed_by_a_nodes_answer_is_forgotten() {
    // Nothing here says how long keys are remembered either.
    let node = Fake::start(|_, before| match before {
        0 => Reaction::Answer(503, vec!["etebar-node: none"], "upstream connect error".to_owned()),
        _ => Reaction::Answer(201, vec![], CHARGE.to_owned()),
    });
    let client = Client::new([&node.url]).unwrap();
    assert_eq!(client.charge(&charge(), &key()).await.unwrap().attempts, 2);
}

#[tokio::test]
async fn a_charge_that_is_answered_at_once_costs_no_second_request() {
    let node = node(86_400);
    let client = Client::new([&node.url]).unwrap();
    client.charge(&charge(), &key()).await.unwrap();
    assert_eq!(node.asked().len(), 1);
}
