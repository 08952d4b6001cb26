//! A leader that was paused and does not know yet that it was replaced answers no read older than what was acknowledged.

use std::time::Duration;

use tests::api::caller::{number, phone, unique};
use tests::api::http::{ANSWER_WAIT, Connection};
use tests::machine::turns::alone;
use tests::{Plan, Request};

#[test]
fn a_resumed_leader_answers_no_read_older_than_an_acknowledged_charge() {
    let _alone = alone();
    let cluster = Plan::new("stale-reads").start();
    let seller = cluster.seller_with(1_000);
    let mut balance = 1_000;
    for round in 0..6 {
        let old = cluster.leader();
        // Reads that wait in the paused leader's sockets are the first that it sees when it resumes.
        let address = cluster.address(old);
        let mut waiting: Vec<_> = (0..4).map(|_| Connection::open(address, ANSWER_WAIT).expect("it listens")).collect();
        cluster.node(old).pause();
        let read = Request::get("/v1/sellers/me").bearer(&seller.key);
        let bytes = format!("GET {} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n\r\n", read.path, seller.key);
        for connection in &mut waiting {
            connection.write(bytes.as_bytes()).expect("the kernel takes it");
        }

        let new = cluster.leader_after(old);
        let other = cluster.ids().into_iter().find(|id| *id != old && *id != new).expect("three nodes");
        cluster.seller(new, &seller).settle(&tests::api::caller::charge(&unique("sale"), &phone(round), 7)).expect(201);
        balance -= 7;
        assert_eq!(cluster.seller(other, &seller).balance("me"), balance);

        cluster.node(old).resume();
        for connection in &mut waiting {
            let answer = connection.read("GET").expect("an answer");
            match answer.status {
                200 => assert_eq!(number(&answer.json()["balance"]), balance, "an old balance from node {old}"),
                _ => assert_eq!(answer.status, 503, "{}", answer.text()),
            }
        }
        for id in [old, new, other] {
            assert_eq!(cluster.seller(id, &seller).balance("me"), balance);
        }
        cluster.wait_ready(&[old]);
    }
}

#[test]
fn a_charge_sent_to_a_paused_leader_is_done_once_or_not_at_all() {
    let _alone = alone();
    let cluster = Plan::new("paused-charge").start();
    let seller = cluster.seller_with(1_000);
    let old = cluster.leader();
    let mut connection = Connection::open(cluster.address(old), ANSWER_WAIT).expect("it listens");
    cluster.node(old).pause();
    let key = unique("paused");
    let body = r#"{"phone":"09120000001","amount":"10"}"#;
    let head = format!(
        "POST /v1/charges HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        seller.key,
        body.len()
    );
    connection.write(head.as_bytes()).expect("the kernel takes it");
    let new = cluster.leader_after(old);
    let request = Request::post("/v1/charges").key(&key).raw_json(body);
    let first = cluster.seller(new, &seller).settle(&request).expect(201);
    cluster.node(old).resume();
    let answer = connection.read("POST").expect("an answer");
    if answer.status == 201 {
        assert!(answer.replayed());
        assert_eq!(answer.body, first.body);
    } else {
        assert!(matches!(answer.status, 503 | 504), "{}", answer.text());
    }
    assert_eq!(cluster.seller(new, &seller).balance("me"), 990);
}

#[test]
fn a_read_that_cannot_reach_its_position_in_time_is_503_behind() {
    let cluster = Plan::new("behind").setting("ETEBAR_REQUEST_TIMEOUT", "1s").start();
    let read = Request::get("/v1/sellers?consistency=local").header("Etebar-Min-Applied", "1000000");
    for id in cluster.ids() {
        let answer = cluster.admin(id).send(&read);
        assert_eq!(answer.refusal(), (503, "behind".into()));
        assert!(answer.header("Retry-After").is_some());
    }
    let began = std::time::Instant::now();
    cluster.admin(1).send(&read);
    assert!(began.elapsed() < Duration::from_secs(5), "the setting is the limit");
}
