//! The log of real nodes: as JSON each line is an object, and what is logged about a request names it and its trace, on the
//! node that it came to and on the leader.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tests::api::caller::{phone, unique};
use tests::{Cluster, Plan, Request, eventually};

static CLUSTER: LazyLock<&'static Cluster> = LazyLock::new(|| {
    let plan = Plan::new("log").setting("ETEBAR_LOG_FORMAT", "json");
    plan.setting("ETEBAR_LOG_LEVEL", "info,etebar_node=debug,openraft=error,sled=off").shared()
});

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// All lines of a node's log so far.
fn lines(id: u64) -> Vec<Value> {
    let text = fs::read_to_string(&CLUSTER.node(id).log).expect("its log is text");
    // The last line may not be whole yet.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The line of the answer to that request, once it is there.
fn answered(id: u64, request_id: &str) -> Value {
    let is_it = |line: &Value| line["request_id"] == request_id && line["fields"]["message"] == "request answered";
    eventually("the answer to be logged", || lines(id).iter().any(is_it));
    lines(id).into_iter().find(is_it).expect("it was there")
}

#[test]
fn a_charge_has_its_callers_trace_in_the_logs_of_both_nodes_that_it_meets() {
    let (leader, follower) = (CLUSTER.leader(), CLUSTER.followers()[0]);
    let seller = CLUSTER.seller_with(1_000);
    let request_id = unique("request");
    let (phone, secret) = (phone(1), seller.key.clone());
    let charge = tests::api::caller::charge(&unique("sale"), &phone, 1)
        .header("X-Request-Id", &request_id)
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let answer = CLUSTER.seller(follower, &seller).send(&charge).expect(201);
    assert_eq!(answer.header("traceparent"), None, "it is not echoed");

    let line = answered(follower, &request_id);
    assert_eq!((&line["trace_id"], &line["level"]), (&json!(TRACE), &json!("DEBUG")), "{line}");
    let fields = &line["fields"];
    assert_eq!(
        (&fields["method"], &fields["route"], &fields["status"]),
        (&json!("POST"), &json!("/v1/charges"), &json!(201))
    );
    assert!(fields["duration_ms"].is_number() && fields["key"].is_number() && fields["key_name"].is_string(), "{line}");
    for line in lines(follower).iter().filter(|line| line.to_string().contains(&request_id)) {
        assert_eq!((&line["request_id"], &line["trace_id"]), (&json!(request_id), &json!(TRACE)), "{line}");
    }
    eventually("the leader to log the call", || lines(leader).iter().any(|line| line["trace_id"] == TRACE));
    for line in lines(leader).iter().filter(|line| line["trace_id"] == TRACE) {
        assert_eq!(line["fields"]["peer"], follower, "{line}");
    }
    for id in CLUSTER.ids() {
        let text = fs::read_to_string(&CLUSTER.node(id).log).expect("its log is text");
        assert!(!text.contains(&phone) && !text.contains(&phone[1..]) && !text.contains(&secret), "on node {id}");
    }
}

#[test]
fn a_traceparent_that_is_not_valid_is_ignored() {
    for wrong in ["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "garbage", ""] {
        let request_id = unique("request");
        let request = Request::get("/v1/sellers").header("X-Request-Id", &request_id).header("traceparent", wrong);
        CLUSTER.admin(1).send(&request).expect(200);
        assert_eq!(answered(1, &request_id)["trace_id"], Value::Null, "{wrong:?}");
    }
}

#[test]
fn what_an_administrator_changes_is_logged_at_info_and_what_nobody_may_is_not() {
    let seller = CLUSTER.admin(2).new_seller("shop");
    let path = format!("/v1/sellers/{}/suspend", seller.id);
    let suspend = |id: &str| Request::post(&path).json(&json!({})).header("X-Request-Id", id);
    let ids = [unique("request"), unique("request"), unique("request")];
    CLUSTER.admin(2).send(&suspend(&ids[0])).expect(200);
    let line = answered(2, &ids[0]);
    let fields = &line["fields"];
    assert_eq!((&line["level"], &fields["route"]), (&json!("INFO"), &json!("/v1/sellers/{id}/suspend")), "{line}");

    CLUSTER.seller(2, &CLUSTER.seller_with(0)).send(&suspend(&ids[1])).expect(403);
    CLUSTER.caller(2, "none").send(&suspend(&ids[2])).expect(401);
    for (id, status) in [(&ids[1], 403), (&ids[2], 401)] {
        let line = answered(2, id);
        assert_eq!((&line["level"], &line["fields"]["status"]), (&json!("DEBUG"), &json!(status)), "{line}");
    }
}

#[test]
fn each_line_of_a_request_has_its_id() {
    let request_id = unique("request");
    CLUSTER.admin(3).send(&Request::get("/v1/journal").header("X-Request-Id", &request_id)).expect(200);
    answered(3, &request_id);
    let ids: BTreeSet<String> = lines(3)
        .iter()
        .filter(|line| line["fields"]["message"] == "request answered")
        .map(|line| line["request_id"].as_str().expect("each has one").to_owned())
        .collect();
    assert!(ids.contains(&request_id) && ids.len() > 1, "{ids:?}");
}
