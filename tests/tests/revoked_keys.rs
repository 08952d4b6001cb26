//! A revoked key is refused from its position on, on every node, for reads as well; a new key works at once everywhere.

use serde_json::json;
use tests::api::caller::{phone, unique};
use tests::{Cluster, Plan, Request};

fn cluster() -> &'static Cluster {
    Plan::new("revoked-keys").shared()
}

#[test]
fn a_revoked_key_is_refused_on_every_node_from_its_position_on() {
    for round in 0..10_u64 {
        let seller = cluster().seller_with(100);
        let (key, id) = cluster().admin(1).new_key("seller", Some(&seller.id));
        let used = unique("sale");
        cluster().caller(1 + round % 3, &key).charge(&used, &phone(1), 1).expect(201);
        let revoked = cluster().admin(1 + (round + 1) % 3).delete(&format!("/v1/keys/{id}")).expect(204);
        for node in 1..=3 {
            let caller = cluster().caller(node, &key);
            let read = caller.get("/v1/sellers/me");
            assert_eq!(read.refusal(), (401, "unauthenticated".into()), "a read on node {node}");
            assert_eq!(read.header("WWW-Authenticate"), Some("Bearer"));
            assert_eq!(caller.charge(&unique("sale"), &phone(1), 1).status, 401);
            assert_eq!(caller.charge(&used, &phone(1), 1).status, 401, "not even a replay");
            let local = Request::get("/v1/sellers/me?consistency=local")
                .header("Etebar-Min-Applied", revoked.applied().to_string());
            assert_eq!(caller.send(&local).status, 401, "a local read at the position on node {node}");
        }
        assert_eq!(cluster().admin(1).balance(&seller.id), 99, "its other keys work on");
        cluster().seller(2, &seller).charge(&unique("sale"), &phone(1), 1).expect(201);
    }
}

#[test]
fn a_new_key_works_at_once_on_every_node() {
    for round in 0..10_u64 {
        let (key, _) = cluster().admin(1 + round % 3).new_key("auditor", None);
        for node in 1..=3 {
            cluster().caller(node, &key).get("/v1/sellers").expect(200);
        }
    }
}

#[test]
fn a_new_key_works_at_once_with_the_position_at_which_it_was_made() {
    for round in 0..10_u64 {
        let made = cluster().admin(1 + round % 3).send(&new_auditor()).expect(201);
        let key = made.json()["key"].as_str().expect("the secret, this once").to_owned();
        let read =
            Request::get("/v1/sellers?consistency=local").header("Etebar-Min-Applied", made.applied().to_string());
        for node in 1..=3 {
            cluster().caller(node, &key).send(&read).expect(200);
        }
    }
}

fn new_auditor() -> Request {
    Request::post("/v1/keys").json(&json!({ "role": "auditor", "name": unique("auditor") }))
}

#[test]
fn revoking_again_is_204_and_an_unknown_key_404() {
    let (_, id) = cluster().admin(1).new_key("auditor", None);
    for node in [1, 2, 3] {
        cluster().admin(node).delete(&format!("/v1/keys/{id}")).expect(204);
    }
    let unknown = cluster().admin(1).delete("/v1/keys/00000000-0000-8000-8000-000000000001");
    assert_eq!(unknown.refusal(), (404, "not_found".into()));
}

#[test]
fn the_last_admin_key_cannot_go() {
    let cluster = Plan::new("last-admin").start();
    let admin = cluster.admin(1);
    let keys = admin.list("/v1/keys");
    assert_eq!(keys.len(), 1);
    assert!(keys[0]["key"].is_null(), "no list shows a secret");
    let first = keys[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(admin.delete(&format!("/v1/keys/{first}")).refusal(), (409, "last_admin_key".into()));
    let (second_key, second) = admin.new_key("admin", None);
    cluster.caller(2, &second_key).delete(&format!("/v1/keys/{first}")).expect(204);
    assert_eq!(cluster.admin(3).get("/v1/sellers").status, 401);
    let last = cluster.caller(3, &second_key).delete(&format!("/v1/keys/{second}"));
    assert_eq!(last.refusal(), (409, "last_admin_key".into()));
}

#[test]
fn names_are_unique_among_active_keys() {
    let name = unique("till");
    let admin = cluster().admin(1);
    let body = json!({"role": "auditor", "name": name});
    let first = admin.post("/v1/keys", &body).expect(201).json();
    assert_eq!(cluster().admin(2).post("/v1/keys", &body).refusal(), (409, "name_taken".into()));
    admin.delete(&format!("/v1/keys/{}", first["id"].as_str().expect("an id"))).expect(204);
    cluster().admin(3).post("/v1/keys", &body).expect(201);
}

#[test]
fn a_key_that_was_never_made_is_401_on_every_node() {
    for node in 1..=3 {
        for header in [
            None,
            Some("Bearer etb_admin_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            Some("Bearer x"),
            Some("Basic YTpi"),
            Some("Bearer"),
        ] {
            let mut request = Request::get("/v1/sellers");
            if let Some(value) = header {
                request = request.header("Authorization", value);
            }
            let answer = request.send(cluster().address(node)).expect("an answer");
            assert_eq!(answer.refusal(), (401, "unauthenticated".into()), "{header:?}");
            assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"));
        }
    }
}
