//! What a node bounds before a caller is known: invalid heads, connections without end, positions out of reach.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use etebar_node::http::Limits;
use serde_json::json;

use super::kit::{ADMIN, Node, Reply, parse};

/// Every HTTP answer of a node names the node; without that a client must treat it as a proxy's.
#[track_caller]
fn assert_signed(reply: &Reply, what: &str) {
    assert_eq!(reply.header("etebar-node"), Some("1"), "{what}: {reply:?}");
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "{what}: {reply:?}");
    assert!(reply.header("etebar-applied").is_some_and(|applied| applied.parse::<u64>().is_ok()), "{what}: {reply:?}");
    for once in ["etebar-node", "x-request-id", "content-length", "connection"] {
        assert!(reply.headers.iter().filter(|(name, _)| name == once).count() <= 1, "{what}: {reply:?}");
    }
    if reply.status >= 500 {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}: {reply:?}");
    }
}

/// Sends these bytes, ends its own side, and reads until the node closes.
fn raw_then_end(node: &Node, bytes: &[u8]) -> String {
    let mut stream = node.connect();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_head_that_cannot_be_read_gets_a_bare_answer_with_the_nodes_name() {
    let node = Node::start();
    let get = "GET /livez HTTP/1.1\r\nhost: kit\r\n";
    let post = "POST /v1/charges HTTP/1.1\r\nhost: kit\r\n";
    let cases: Vec<(String, u16)> = vec![
        ("nonsense\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: kit\r\n folded: x\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost : kit\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n".into(), 400),
        ("GET / HTTP/9.9\r\nhost: kit\r\n\r\n".into(), 400),
        ("GET  / HTTP/1.1\r\nhost: kit\r\n\r\n".into(), 400),
        ("G\u{e9}T / HTTP/1.1\r\nhost: kit\r\n\r\n".into(), 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n".into(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400),
        (format!("{post}content-length: x\r\n\r\n"), 400),
        (format!("{post}content-length: -1\r\n\r\n"), 400),
        (format!("{post}content-length: +1\r\n\r\n"), 400),
        (format!("{post}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"), 400),
        (format!("{post}content-length: 3, 4\r\n\r\nabcd"), 400),
        (format!("{post}content-length: 99999999999999999999\r\n\r\n"), 400),
        (format!("{post}transfer-encoding: gzip\r\n\r\n"), 400),
        (format!("{post}transfer-encoding: chunked, identity\r\n\r\n"), 400),
        ("POST / HTTP/1.0\r\nhost: kit\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
        (format!("{get}x-long: {}\r\n\r\n", "x".repeat(70_000)), 431),
        (format!("{get}x-long: {}\r\n\r\n", "x".repeat(40_000)), 431),
        (format!("{get}{}\r\n", "x-a: b\r\n".repeat(200)), 431),
        (format!("GET /{} HTTP/1.1\r\nhost: kit\r\n\r\n", "x".repeat(100_000)), 431),
        // Behind a good request on the same connection, in one piece with it.
        (format!("{get}\r\nnonsense\r\n\r\n"), 400),
        (format!("{get}\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400),
        (format!("{get}\r\n{get}x-long: {}\r\n\r\n", "x".repeat(70_000)), 431),
    ];
    for (request, status) in &cases {
        let what: String = request.chars().take(60).collect();
        let text = node.raw(request.as_bytes());
        let last = text.rfind("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer to {what:?}"));
        if request.starts_with(&format!("{get}\r\n")) {
            assert_eq!(parse(&text).status, 200, "{what:?}");
        }
        let reply = parse(&text[last..]);
        assert_eq!((reply.status, reply.body.as_str()), (*status, ""), "{what:?}");
        assert_eq!(reply.header("connection"), Some("close"), "{what:?}");
        assert_signed(&reply, &what);
    }
    assert_eq!(node.get(ADMIN, "/v1/sellers").status, 200);
}

#[test]
fn a_head_that_breaks_off_or_comes_too_late_gets_a_bare_answer_with_the_nodes_name() {
    let node = Node::with(&Limits { head: Duration::from_millis(300), ..Limits::default() }, 0);
    for part in ["G", "GET /livez HTTP/1.1\r\nhost:", "GET /livez HTTP/1.1\r\nhost: kit\r\n\r\nGET /li"] {
        let text = raw_then_end(&node, part.as_bytes());
        let reply = parse(&text[text.rfind("HTTP/1.1 ").unwrap()..]);
        assert_eq!((reply.status, reply.header("connection")), (400, Some("close")), "{part:?}");
        assert_signed(&reply, part);
    }
    let late = parse(&node.raw(b"GET /livez HTTP/1.1\r\nhost:"));
    assert_eq!((late.status, late.body.as_str(), late.header("connection")), (408, "", Some("close")));
    assert_signed(&late, "a late head");
    assert_eq!(raw_then_end(&node, b""), "", "a connection without a byte is no request");
}

#[test]
fn every_answer_to_a_head_that_could_be_read_has_the_nodes_name() {
    let node = Node::with(&Limits { body_bytes: 1_000, ..Limits::default() }, 0);
    let key = format!("authorization: Bearer {ADMIN}\r\n");
    let json = "content-type: application/json\r\n";
    let end = "host: kit\r\nconnection: close\r\n";
    let cases = [
        (format!("HEAD /livez HTTP/1.1\r\n{end}\r\n"), 200, ""),
        (format!("HEAD /v1/nothing HTTP/1.1\r\n{end}\r\n"), 404, ""),
        (format!("OPTIONS * HTTP/1.1\r\n{end}\r\n"), 404, "not_found"),
        (format!("OPTIONS /v1/charges HTTP/1.1\r\n{end}\r\n"), 405, "method_not_allowed"),
        (format!("TRACE /v1/charges HTTP/1.1\r\n{end}\r\n"), 405, "method_not_allowed"),
        (format!("BREW /v1/charges HTTP/1.1\r\n{end}\r\n"), 405, "method_not_allowed"),
        (format!("CONNECT kit:80 HTTP/1.1\r\n{end}\r\n"), 404, "not_found"),
        (format!("GET /%ff HTTP/1.1\r\n{end}\r\n"), 404, "not_found"),
        (format!("GET /v1/sellers HTTP/1.1\r\n{end}\r\n"), 401, "unauthenticated"),
        (format!("GET /v1/sellers HTTP/1.1\r\n{end}{key}{key}\r\n"), 401, "unauthenticated"),
        (format!("GET /v1/sellers HTTP/1.1\r\n{end}{key}upgrade: h2c\r\n\r\n"), 200, ""),
        (
            format!("POST /v1/sellers HTTP/1.1\r\n{end}{key}content-length: 2\r\n\r\n{{}}"),
            415,
            "unsupported_media_type",
        ),
        (format!("POST /v1/sellers HTTP/1.1\r\n{end}{key}{json}content-length: 2000\r\n\r\n"), 413, "too_large"),
        (format!("POST /v1/sellers HTTP/1.1\r\n{end}{key}{json}\r\n"), 400, "invalid_request"),
        (
            format!("POST /v1/sellers HTTP/1.1\r\n{end}{key}{json}transfer-encoding: chunked\r\n\r\nzz\r\n"),
            400,
            "invalid_request",
        ),
        (format!("GET /v1/sellers HTTP/1.1\r\nconnection: close\r\n{key}\r\n"), 400, "invalid_request"),
    ];
    for (request, status, code) in &cases {
        let reply = parse(&node.raw(request.as_bytes()));
        assert_eq!(reply.status, *status, "{request:?}: {reply:?}");
        if !code.is_empty() {
            assert_eq!((reply.code().as_str(), reply.json()["status"].as_u64()), (*code, Some(u64::from(*status))));
        }
        assert_signed(&reply, request);
    }
}

#[test]
fn a_connection_that_is_turned_away_gets_a_signed_503() {
    let node = Node::with(&Limits { connections_per_address: 1, ..Limits::default() }, 0);
    let mut first = node.connect();
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: kit\r\n\r\n").unwrap();
    first.read_exact(&mut [0; 15]).unwrap();
    // With a body under way: the answer must come, not a reset.
    let request = format!("POST /v1/charges HTTP/1.1\r\nhost: kit\r\ncontent-length: 9\r\n\r\n{}", "x".repeat(9));
    let reply = parse(&node.raw(request.as_bytes()));
    assert_eq!((reply.status, reply.code().as_str(), reply.header("connection")), (503, "overloaded", Some("close")));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_signed(&reply, "one connection too many from an address");
    let mut other = connect_from("127.0.0.9", &node);
    other.write_all(b"GET /livez HTTP/1.1\r\nhost: kit\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    other.read_to_string(&mut text).unwrap();
    assert_eq!(parse(&text).status, 200, "another address has slots of its own");
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    while parse(&node.raw(b"GET /livez HTTP/1.1\r\nhost: kit\r\nconnection: close\r\n\r\n")).status != 200 {
        assert!(Instant::now() < deadline, "the slot is freed");
    }
}

fn connect_from(address: &str, node: &Node) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        socket.connect(node.address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// The answer to this request line and these fields, which are all that is sent.
#[track_caller]
fn answer(node: &Node, line: &str, fields: &[&str]) -> Reply {
    let mut head = format!("{line}\r\nconnection: close\r\n");
    for field in fields {
        head.extend([field, "\r\n"]);
    }
    parse(&node.raw(format!("{head}\r\n").as_bytes()))
}

#[test]
fn a_request_has_one_sound_host() {
    let node = Node::start();
    let get = "GET /livez HTTP/1.1";
    let fit: [(&str, &[&str]); 10] = [
        (get, &["host: etebar.example:7101"]),
        (get, &["Host: [::1]:7101"]),
        (get, &["host:127.0.0.1"]),
        (get, &["host: \t a.b \t"]),
        ("GET /livez HTTP/1.0", &[]),
        ("GET /livez HTTP/1.0", &["host: a"]),
        ("GET http://a/livez HTTP/1.1", &["host: a"]),
        // The address in the request line counts, and what the field says besides is ignored (RFC 9112, 3.2.2).
        ("GET http://a:7101/livez HTTP/1.1", &["host: b"]),
        ("GET HTTP://a/livez HTTP/1.1", &["host: a"]),
        ("GET http://[::1]:1/livez HTTP/1.1", &["host: [::1]:1"]),
    ];
    for (line, fields) in fit {
        assert_eq!(answer(&node, line, fields).status, 200, "{line} {fields:?}");
    }
    let unfit: [(&str, &[&str]); 16] = [
        (get, &[]),
        (get, &["host: a", "host: a"]),
        (get, &["host: a", "host: b"]),
        (get, &["host:"]),
        (get, &["host: a b"]),
        (get, &["host: a, b"]),
        (get, &["host: a/b"]),
        (get, &["host: user@a"]),
        (get, &["host: http://a"]),
        (get, &["host: a:port"]),
        (get, &["host: a:99999"]),
        (get, &["host: \u{e9}"]),
        ("GET /livez HTTP/1.0", &["host: a", "host: a"]),
        ("GET /livez HTTP/1.0", &["host: a b"]),
        ("GET http://a/livez HTTP/1.1", &[]),
        ("GET http://a/livez HTTP/1.1", &["host: a", "host: a"]),
    ];
    for (line, fields) in unfit {
        let reply = answer(&node, line, fields);
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{line} {fields:?}");
        assert_eq!(reply.json()["errors"][0]["pointer"], "/Host", "{line} {fields:?}");
        assert_signed(&reply, line);
    }
    let user = answer(&node, "GET http://user@a/livez HTTP/1.1", &["host: a"]);
    assert_eq!((user.status, user.code().as_str()), (400, "invalid_request"));
}

#[test]
fn a_field_of_one_value_given_twice_is_400_and_nothing_is_done() {
    let node = Node::start();
    let (_, key) = node.seller_with("one", "1000");
    let bearer = format!("Bearer {key}");
    let body = json!({ "phone": "09123456789", "amount": 1 }).to_string();
    let good = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "k")];
    for twice in [
        ("content-type", "application/json"),
        ("content-type", "text/plain"),
        ("idempotency-key", "k"),
        ("idempotency-key", "other"),
        ("transfer-encoding", "gzip, chunked"),
        ("transfer-encoding", "chunked, chunked"),
    ] {
        let reply = node.call("POST", "/v1/charges", &[&good[..], &[twice]].concat(), &body);
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{twice:?}: {reply:?}");
    }
    let positions = [good[0], ("etebar-min-applied", "1"), ("etebar-min-applied", "1")];
    let reply = node.call("GET", "/v1/sellers/me", &positions, "");
    assert_eq!(reply.code(), "invalid_request");
    assert_eq!(reply.json()["errors"][0]["pointer"], "/Etebar-Min-Applied");
    let reply = node.call("POST", "/v1/charges", &[&good[..], &[good[0]]].concat(), &body);
    assert_eq!((reply.status, reply.code().as_str()), (401, "unauthenticated"), "two keys are none");
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "1000");
    let ids = [good[0], ("x-request-id", "mine"), ("x-request-id", "mine")];
    let reply = node.call("GET", "/v1/sellers/me", &ids, "");
    assert_eq!(reply.status, 200, "a name for a request is no reason to refuse it");
    assert!(reply.header("x-request-id").is_some_and(|id| id != "mine"), "{reply:?}");
}

#[test]
fn a_body_is_taken_as_it_stands_or_not_at_all() {
    let node = Node::start();
    let bearer = format!("Bearer {ADMIN}");
    let good = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = json!({ "name": "one" }).to_string();
    for codings in [&["identity"][..], &["IDENTITY"], &["identity, identity"], &["identity", "Identity"], &[""], &[","]]
    {
        let codings: Vec<_> = codings.iter().map(|coding| ("content-encoding", *coding)).collect();
        let reply = node.call("POST", "/v1/sellers", &[&good[..], &codings].concat(), &body);
        assert_eq!(reply.status, 201, "{codings:?}: {reply:?}");
    }
    let (_, key) = node.seller("two");
    let asked = node.post(&key, "/v1/credit-requests", "r", &json!({ "amount": 5 })).json();
    let approve = format!("/v1/credit-requests/{}/approve", asked["id"].as_str().unwrap());
    for codings in [&["gzip"][..], &["identity, gzip"], &["identity", "br"], &["x-identity"], &["*"]] {
        let codings: Vec<_> = codings.iter().map(|coding| ("content-encoding", *coding)).collect();
        for path in ["/v1/sellers", &approve] {
            let reply = node.call("POST", path, &[&good[..], &codings].concat(), "{}");
            assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported_media_type"), "{path} {codings:?}");
        }
    }
    assert_eq!(node.call("POST", &approve, &[good[0], ("content-encoding", "identity")], "").status, 200);
}

#[test]
fn a_length_beside_chunks_cannot_hide_a_second_request() {
    let node = Node::start();
    let hidden = "GET /v1/hidden HTTP/1.1\r\nhost: kit\r\n\r\n";
    for fields in [
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", 5 + hidden.len()),
        format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", 5 + hidden.len()),
    ] {
        let request = format!("POST /v1/sellers HTTP/1.1\r\nhost: kit\r\n{fields}\r\n0\r\n\r\n{hidden}");
        let text = node.raw(request.as_bytes());
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
        assert_eq!(parse(&text).header("connection"), Some("close"), "{text}");
    }
}

#[test]
fn an_unauthenticated_caller_is_refused_at_once_whatever_position_it_names() {
    let node = Node::start();
    let begun = Instant::now();
    for position in ["0", "5", "1000", "18446744073709551615"] {
        for bearer in ["Bearer etb_nobody", "Basic x"] {
            let headers = [("authorization", bearer), ("etebar-min-applied", position)];
            for (method, path) in [("GET", "/v1/sellers"), ("POST", "/v1/charges"), ("GET", "/v1/cluster")] {
                let reply = node.call(method, path, &headers, "");
                assert_eq!((reply.status, reply.code().as_str()), (401, "unauthenticated"), "{position} {bearer}");
            }
        }
    }
    assert!(begun.elapsed() < Limits::default().request, "{:?}", begun.elapsed());
}

#[test]
fn a_position_out_of_reach_is_behind_at_once() {
    let node = Node::start();
    let bearer = format!("Bearer {ADMIN}");
    let begun = Instant::now();
    for path in ["/v1/sellers", "/v1/sellers?consistency=local", "/v1/cluster"] {
        for position in ["1000000", "18446744073709551615"] {
            let headers = [("authorization", bearer.as_str()), ("etebar-min-applied", position)];
            let reply = node.call("GET", path, &headers, "");
            assert_eq!((reply.status, reply.code().as_str()), (503, "behind"), "{path} {position}");
            assert_eq!(reply.header("retry-after"), Some("1"));
            assert!(begun.elapsed() < Limits::default().request, "{:?}", begun.elapsed());
        }
    }
    let headers = [("authorization", bearer.as_str()), ("etebar-min-applied", "18446744073709551616")];
    assert_eq!(node.call("GET", "/v1/sellers", &headers, "").code(), "invalid_request");
}

#[test]
fn a_flood_of_unknown_callers_leaves_known_callers_their_answers() {
    let node = Node::start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let request = "GET /v1/sellers HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer etb_nobody\r\n\r\n";
    std::thread::scope(|scope| {
        let unauthenticated: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = node.connect();
                    let (mut answered, mut buffer) = (0, [0; 4_096]);
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        stream.write_all(request.as_bytes()).unwrap();
                        let read = stream.read(&mut buffer).unwrap();
                        answered += usize::from(buffer[..read].starts_with(b"HTTP/1.1 401"));
                    }
                    answered
                })
            })
            .collect();
        let begun = Instant::now();
        for _ in 0..50 {
            assert_eq!(node.get(ADMIN, "/v1/sellers").status, 200);
        }
        let took = begun.elapsed();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let answered: Vec<_> = unauthenticated.into_iter().map(|client| client.join().unwrap()).collect();
        assert!(answered.iter().all(|answered| *answered > 0), "each unauthenticated client is answered: {answered:?}");
        assert!(took < Duration::from_secs(5), "50 reads beside 16 unauthenticated clients took {took:?}");
    });
}

#[test]
fn unknown_callers_share_a_barrier_and_a_pause_between_two_however_fast_they_ask() {
    const ROUNDS: u32 = 40;
    let node = Node::start();
    let mut stream = node.connect();
    let request = "GET /v1/sellers HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer etb_nobody\r\n\r\n";
    let mut buffer = [0; 4_096];
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        stream.write_all(request.as_bytes()).unwrap();
        let read = stream.read(&mut buffer).unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&buffer[..read]));
    }
    // A barrier asks a quorum; for unauthenticated callers two are 10 ms apart.
    let least = Duration::from_millis(10) * (ROUNDS - 1);
    assert!(begun.elapsed() >= least, "{ROUNDS} unauthenticated requests in {:?}", begun.elapsed());
}
