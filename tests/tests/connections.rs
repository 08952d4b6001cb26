//! Connections from one address: they cannot take all that a node has, nor fill its log.

use tests::api::http::{ANSWER_WAIT, Connection};
use tests::{Plan, Request};

#[test]
fn one_address_takes_half_of_the_connections_and_one_line_of_the_log() {
    let cluster = Plan::new("connections").nodes(1).setting("ETEBAR_CONNECTIONS_MAX", "40").start();
    let node = cluster.node(1);
    let open = || Connection::open(node.api, ANSWER_WAIT).expect("it listens");
    let mut held: Vec<Connection> = Vec::new();
    let refused = loop {
        let mut connection = open();
        let answer = connection.send(&Request::get("/livez")).expect("an answer");
        if answer.status != 200 {
            break answer;
        }
        held.push(connection);
    };
    assert_eq!(refused.refusal(), (503, "overloaded".into()));
    // The kit asked whether the node is ready, over connections from the same address that may still be open.
    assert!((15..=20).contains(&held.len()), "{} connections are held", held.len());
    for _ in 0..100 {
        let answer = open().read("GET").expect("an answer before any request was sent");
        assert_eq!(answer.refusal(), (503, "overloaded".into()));
        assert_eq!((answer.header("Etebar-Node"), answer.header("Connection")), (Some("1"), Some("close")));
    }
    let log = node.log_tail(1_000);
    assert_eq!(log.matches("turned away").count(), 1, "{log}");
    for connection in &mut held {
        connection.send(&Request::get("/livez")).expect("an open connection stays open").expect(200);
    }
}
