//! Batches: many charges in one request, each for itself.

use serde_json::{Value, json};

use super::kit::{Node, text};

fn item(key: &str, amount: i64) -> Value {
    json!({ "phone": "09123456789", "amount": amount, "idempotency_key": key })
}

#[test]
fn each_item_stands_alone_and_replays() {
    let node = Node::start();
    let (_, key) = node.seller_with("one", "100");
    let single = node.charge(&key, "single", "10");
    let items = [item("a", 10), item("single", 10), item("b", 1_000), item("a", 10), item("a", 11), item("c", 5)];
    let first = node.post(&key, "/v1/charges/batch", "", &json!({ "charges": items }));
    assert_eq!(first.status, 200, "{first:?}");
    let results = first.json()["results"].clone();
    let outline: Vec<_> = (0..6).map(|at| (results[at]["status"].clone(), results[at]["replayed"].clone())).collect();
    let expected = [(201, false), (201, true), (409, false), (201, true), (422, false), (201, false)];
    assert_eq!(outline, expected.map(|(status, replayed)| (json!(status), json!(replayed))));
    assert_eq!(results[1]["charge"], single.json());
    assert_eq!(results[3]["charge"], results[0]["charge"]);
    assert_eq!(results[2]["problem"]["balance"], "80");
    assert_eq!(results[4]["problem"]["code"], "idempotency_key_reused");
    assert!(first.body.starts_with("{\"results\":[{\"status\":201,\"replayed\":false,\"charge\":{\"id\":\""));

    let alone = node.charge(&key, "c", "5");
    assert!(alone.replayed());
    assert_eq!(alone.json(), results[5]["charge"]);
    let again = node.post(&key, "/v1/charges/batch", "", &json!({ "charges": [item("b", 1_000)] })).json();
    assert_eq!(again["results"][0]["replayed"], true, "a refusal replays too");
    assert_eq!(again["results"][0]["problem"], results[2]["problem"]);
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "75");
}

#[test]
fn one_malformed_item_refuses_the_whole() {
    let node = Node::start();
    let (_, key) = node.seller_with("one", "100");
    let mut items: Vec<_> = (0..20).map(|at| item(&format!("k-{at}"), 1)).collect();
    items[17]["phone"] = json!("abc");
    items[18]["amount"] = json!("-1");
    items[19]["idempotency_key"] = json!("");
    let reply = node.post(&key, "/v1/charges/batch", "", &json!({ "charges": items }));
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"));
    let errors = reply.json()["errors"].clone();
    let pointers: Vec<_> = errors.as_array().unwrap().iter().map(|error| text(error, "pointer")).collect();
    assert_eq!(pointers, ["/charges/17/phone", "/charges/18/amount", "/charges/19/idempotency_key"]);
    for body in [json!({ "charges": [] }), json!({}), json!({ "charges": [["09123456789", 1, "k"]] }), json!([[]])] {
        assert_eq!(node.post(&key, "/v1/charges/batch", "", &body).code(), "invalid_request", "{body}");
    }
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "100");
}

#[test]
fn a_batch_has_at_most_8000_charges() {
    let node = Node::start();
    let (_, key) = node.seller_with("one", "8000");
    let mut items: Vec<_> = (0..8_001).map(|at| item(&format!("k-{at}"), 1)).collect();
    let reply = node.post(&key, "/v1/charges/batch", "", &json!({ "charges": items }));
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "8000");
    items.pop();
    let reply = node.post(&key, "/v1/charges/batch", "", &json!({ "charges": items }));
    assert_eq!(reply.status, 200);
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "0");
}
