//! One connection costs a node little.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use etebar_node::http::Limits;
use serde_json::json;

use super::kit::{ADMIN, Node, parse};

#[test]
fn every_answer_names_its_node() {
    let node = Node::start();
    let reply = node.call("GET", "/v1/nothing", &[("x-request-id", "mine-1")], "");
    assert_eq!(reply.header("x-request-id"), Some("mine-1"));
    assert_eq!((reply.header("etebar-node"), reply.header("etebar-leader")), (Some("1"), Some("1")));
    assert!(reply.header("etebar-applied").is_some_and(|applied| applied.parse::<u64>().is_ok()));
    for bad in ["", "a b", &"x".repeat(65)] {
        let reply = node.call("GET", "/livez", &[("x-request-id", bad)], "");
        assert!(reply.header("x-request-id").is_some_and(|id| id != bad && !id.is_empty()));
    }
}

#[test]
fn a_body_too_large_is_answered_before_the_end() {
    let node = Node::start();
    let head = format!(
        "POST /v1/sellers HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer {ADMIN}\r\ncontent-type: application/json\r\n"
    );
    let announced = format!("{head}content-length: 3000000\r\n\r\n{}", "x".repeat(3_000_000));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n2dc6c0\r\n{}\r\n0\r\n\r\n", "x".repeat(3_000_000));
    for request in [announced, chunked] {
        let reply = parse(&node.raw(request.as_bytes()));
        assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
        assert_eq!(reply.header("connection"), Some("close"));
    }
    // One that waits for leave to send its body is answered at once, without a 100 Continue.
    let waiting = format!("{head}content-length: 3000000\r\nexpect: 100-continue\r\n\r\n");
    let mut stream = node.connect();
    stream.write_all(waiting.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn a_body_of_exactly_the_limit_is_read() {
    let node = Node::with(&Limits { body_bytes: 4_096, ..Limits::default() }, 0);
    let body = format!("{{\"name\":\"{}\"{}}}", "one", " ".repeat(4_096 - 14));
    assert_eq!(body.len(), 4_096);
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(node.call("POST", "/v1/sellers", &headers, &body).status, 201);
    assert_eq!(node.call("POST", "/v1/sellers", &headers, &format!("{body} ")).code(), "too_large");
}

#[test]
fn a_head_that_cannot_be_read_gets_a_bare_answer() {
    let node = Node::start();
    let long = format!("GET / HTTP/1.1\r\nhost: kit\r\nx-long: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x-a: b\r\n".repeat(200));
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: kit\r\n\r\n", "x".repeat(100_000));
    let cases: [(&[u8], u16); 6] = [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (long.as_bytes(), 431),
        (many.as_bytes(), 431),
        (long_path.as_bytes(), 431),
    ];
    for (request, status) in cases {
        let reply = parse(&node.raw(request));
        assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{}", String::from_utf8_lossy(&request[..20]));
    }
    assert_eq!(node.get(ADMIN, "/v1/sellers").status, 200);
}

#[test]
fn a_slow_head_is_cut_off_and_a_resting_connection_is_not() {
    let node = Node::with(&Limits { head: Duration::from_millis(300), ..Limits::default() }, 0);
    let mut resting = node.connect();
    let request = b"GET /livez HTTP/1.1\r\nhost: kit\r\n\r\n";
    let first = exchange(&mut resting, request);
    let begun = Instant::now();
    let text = node.raw(b"GET /livez HTTP/1.1\r\nhost:");
    assert_eq!(parse(&text).status, 408);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(exchange(&mut resting, request), first, "it may rest longer than a head may take");
}

#[test]
fn a_connection_that_sends_nothing_is_closed_within_the_time_of_a_head() {
    let node = Node::with(&Limits { head: Duration::from_millis(300), ..Limits::default() }, 0);
    let begun = Instant::now();
    assert_eq!(node.raw(b""), "", "there is nothing to answer");
    assert!((300..10_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

/// Sends a request and reads as much as the head of its answer; its status line.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"ok node\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.extend(byte);
    }
    String::from_utf8(text).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn a_slow_body_is_refused_in_time() {
    let node = Node::with(&Limits { request: Duration::from_millis(300), ..Limits::default() }, 0);
    let head = format!(
        "POST /v1/sellers HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer {ADMIN}\r\ncontent-type: application/json\r\n\
         content-length: 20\r\n\r\n{{"
    );
    let reply = parse(&node.raw(head.as_bytes()));
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"));
}

#[test]
fn one_connection_carries_many_requests() {
    let node = Node::start();
    let mut stream = node.connect();
    let request = format!("GET /v1/sellers HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer {ADMIN}\r\n\r\n");
    let mut last = request.clone();
    last.insert_str(request.len() - 2, "connection: close\r\n");
    stream.write_all(format!("{request}{request}{last}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
}

#[test]
fn one_connection_too_many_gets_a_503() {
    let node = Node::with(&Limits { connections: 1, ..Limits::default() }, 0);
    let mut first = node.connect();
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: kit\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    first.read_exact(&mut answer).unwrap();
    let reply = parse(&node.raw(b""));
    assert_eq!((reply.status, reply.code().as_str()), (503, "overloaded"));
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    while parse(&node.raw(b"GET /livez HTTP/1.1\r\nhost: kit\r\nconnection: close\r\n\r\n")).status != 200 {
        assert!(Instant::now() < deadline, "the slot is freed");
    }
}

#[test]
fn a_stopping_node_answers_what_is_in_flight() {
    let node = Node::start();
    let mut resting = node.connect();
    let mut busy = node.connect();
    let body = json!({ "name": "last" }).to_string();
    let head = format!(
        "POST /v1/sellers HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer {ADMIN}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    busy.write_all(head.as_bytes()).unwrap();
    let mut leave = [0; 25];
    busy.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    node.stop();
    let mut nothing = Vec::new();
    assert_eq!(resting.read_to_end(&mut nothing).unwrap(), 0, "a resting connection is closed");
    busy.write_all(body.as_bytes()).unwrap();
    let mut text = String::new();
    busy.read_to_string(&mut text).unwrap();
    let reply = parse(&text);
    assert_eq!((reply.status, reply.header("connection")), (201, Some("close")));
}
