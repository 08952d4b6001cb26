//! Every node serves everything: a write finds the leader by itself, and a read sees every write acknowledged before.

use serde_json::json;
use tests::api::caller::{number, phone, unique};
use tests::{Cluster, Plan, Request};

fn cluster() -> &'static Cluster {
    Plan::new("forwarding").shared()
}

#[test]
fn every_kind_of_write_works_on_every_node() {
    for id in cluster().ids() {
        let admin = cluster().admin(id);
        let seller = admin.new_seller("shop");
        let caller = cluster().seller(id, &seller);
        let request = caller.request_credit(1_000);
        admin.approve(&request).expect(200);
        let charge = caller.charge(&unique("sale"), &phone(id), 400).expect(201).json();
        assert_eq!(charge["balance"], "600");
        let path = format!("/v1/sellers/{}/adjustments", seller.id);
        let entry =
            admin.post_keyed(&path, &unique("more"), &json!({"amount": 5, "reason": "gift"})).expect(201).json();
        assert_eq!((&entry["kind"], &entry["balance"]), (&json!("adjustment"), &json!("605")));
        let path = format!("/v1/charges/{}/reversal", charge["id"].as_str().expect("an id"));
        admin.post_keyed(&path, &unique("undo"), &json!({"reason": "error"})).expect(201);
        let batch = json!({"charges": [{"phone": "09121234567", "amount": 5, "idempotency_key": unique("sale")}]});
        assert_eq!(caller.post("/v1/charges/batch", &batch).expect(200).json()["results"][0]["status"], 201);
        admin.post(&format!("/v1/sellers/{}/suspend", seller.id), &json!({})).expect(200);
        assert_eq!(admin.balance(&seller.id), 1_000);
    }
}

#[test]
fn a_read_on_any_node_sees_what_was_acknowledged_by_another() {
    let seller = cluster().seller_with(1_000);
    for count in 0..30_u64 {
        let (writer, reader) = (1 + count % 3, 1 + (count + 1) % 3);
        cluster().seller(writer, &seller).charge(&unique("sale"), &phone(count), 1).expect(201);
        assert_eq!(cluster().seller(reader, &seller).balance("me"), 999 - count.cast_signed());
    }
}

#[test]
fn a_local_read_waits_for_the_position_it_is_asked_for() {
    let seller = cluster().seller_with(1_000);
    for count in 0..30_u64 {
        let position =
            cluster().seller(1 + count % 3, &seller).charge(&unique("sale"), &phone(count), 1).expect(201).applied();
        let read = Request::get("/v1/sellers/me?consistency=local").header("Etebar-Min-Applied", position.to_string());
        let answer = cluster().seller(1 + (count + 1) % 3, &seller).send(&read).expect(200);
        assert!(answer.applied() >= position);
        assert_eq!(number(&answer.json()["balance"]), 999 - count.cast_signed());
    }
}

#[test]
fn every_answer_names_its_node_the_leader_and_the_position() {
    let leader = cluster().leader();
    for id in cluster().ids() {
        let answer = cluster().admin(id).get("/v1/sellers").expect(200);
        assert_eq!(answer.header("Etebar-Node"), Some(id.to_string().as_str()));
        assert_eq!(answer.header("Etebar-Leader"), Some(leader.to_string().as_str()));
        assert!(answer.applied() > 0);
        let refused = cluster().admin(id).get("/v1/sellers/none");
        assert_eq!(refused.refusal(), (404, "not_found".into()));
        assert_eq!(refused.header("Etebar-Node"), Some(id.to_string().as_str()));
    }
}

#[test]
fn the_request_id_is_the_callers_where_it_can_be() {
    let admin = cluster().admin(1);
    let named = admin.send(&Request::get("/v1/sellers").header("X-Request-Id", "order-17/a"));
    assert_eq!(named.header("X-Request-Id"), Some("order-17/a"));
    let mut drawn = Vec::new();
    for bad in ["", "with space", &"x".repeat(65)] {
        let answer = admin.send(&Request::get("/v1/sellers").header("X-Request-Id", bad));
        drawn.push(answer.header("X-Request-Id").expect("every answer has one").to_owned());
    }
    drawn.push(admin.send(&Request::get("/nowhere")).header("X-Request-Id").expect("errors have one").to_owned());
    assert!(drawn.iter().all(|id| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())));
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 4, "each is its own");
}

#[test]
fn the_cluster_is_described_alike_by_every_node() {
    let seller = cluster().seller_with(0);
    let leader = cluster().leader();
    for id in cluster().ids() {
        let status = cluster().seller(id, &seller).get("/v1/cluster").expect(200).json();
        assert_eq!(status["leader"], leader, "any key may ask, on node {id}");
        let nodes = status["members"].as_array().expect("members");
        assert_eq!(nodes.iter().map(|node| &node["id"]).collect::<Vec<_>>(), [1, 2, 3]);
        for node in nodes {
            assert_eq!((&node["role"], &node["healthy"]), (&json!("voter"), &json!(true)), "{status}");
            assert!(
                node["api"]
                    .as_str()
                    .is_some_and(|api| api.ends_with(&cluster().address(node["id"].as_u64().unwrap()).to_string()))
            );
            assert!(node["applied"].is_u64() && node["lag"].is_u64());
        }
        assert!(status["version"].is_string() && status["term"].is_u64());
    }
}

#[test]
fn an_idle_cluster_does_not_move_its_position_and_all_have_one_digest_there() {
    let seller = cluster().seller_with(10);
    let position = cluster().seller(1, &seller).charge(&unique("sale"), &phone(1), 1).expect(201).applied();
    tests::books::assert_agreement(cluster(), position);
}

#[test]
fn health_needs_no_key() {
    for id in cluster().ids() {
        for path in ["/livez", "/readyz"] {
            let answer = Request::get(path).send(cluster().address(id)).expect("an answer").expect(200);
            assert!(answer.text().lines().count() >= 1, "a line a check");
        }
    }
}
