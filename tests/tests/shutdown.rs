//! SIGTERM: a node stops taking requests, answers those in flight, hands leadership over, syncs, and exits 0.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::api::http::{ANSWER_WAIT, Connection};
use tests::machine::turns::alone;
use tests::{Load, Plan, Request, books};

/// From the contract.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn a_leader_ends_in_time_under_load_and_hands_leadership_over() {
    let _alone = alone();
    let cluster = Plan::new("term-leader").start();
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    let load = Load::start(&cluster, &sellers, 8, 11);
    for _ in 0..3 {
        load.wait_for_more(200);
        let leader = cluster.leader();
        let began = Instant::now();
        let status = cluster.node(leader).terminate(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", cluster.node(leader).log_tail(10));
        eprintln!("the leader ended within {:?}", began.elapsed());
        cluster.leader_after(leader);
        load.wait_for_more(100);
        cluster.start_ready(leader);
    }
    books::prove(&cluster, &load.finish());
}

#[test]
fn all_nodes_end_in_time_at_once_and_come_back_with_everything() {
    let _alone = alone();
    let cluster = Plan::new("term-all").start();
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    let load = Load::start(&cluster, &sellers, 8, 12);
    load.wait_for_more(300);
    cluster.ids().iter().for_each(|id| cluster.node(*id).signal(Signal::TERM));
    for id in cluster.ids() {
        let status = cluster.node(id).wait_end(LIMIT);
        assert_eq!(status.code(), Some(0), "node {id}: {}", cluster.node(id).log_tail(10));
    }
    cluster.start_all();
    books::prove(&cluster, &load.finish());
}

#[test]
fn neither_idle_connections_nor_half_sent_requests_hold_it_up() {
    let cluster = Plan::new("term-idle").start();
    let node = cluster.node(1);
    let mut idle = Connection::open(node.api, ANSWER_WAIT).expect("it listens");
    idle.send(&Request::get("/livez")).expect("an answer").expect(200);
    let _idle = Connection::open(node.api, ANSWER_WAIT).expect("it listens");
    let mut half = Connection::open(node.api, ANSWER_WAIT).expect("it listens");
    half.write(b"POST /v1/charges HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n{").expect("it takes bytes");
    assert_eq!(node.terminate(LIMIT).code(), Some(0), "{}", node.log_tail(10));
    assert!(Connection::open(node.api, Duration::from_secs(1)).is_err(), "it takes no connection any more");
}

#[test]
fn a_waiting_read_is_refused_with_retry_after() {
    let cluster = Plan::new("term-wait").start();
    let node = cluster.node(1);
    let request = Request::get("/v1/sellers").bearer(&cluster.admin_key).header("Etebar-Min-Applied", "10000");
    let mut waiting = Connection::open(node.api, ANSWER_WAIT).expect("it listens");
    let answer = std::thread::spawn(move || waiting.send(&request));
    assert_eq!(node.terminate(LIMIT).code(), Some(0), "{}", node.log_tail(10));
    let answer = answer.join().expect("no panic").expect("an answer before the connection ends").expect(503);
    assert_eq!((answer.code().as_str(), answer.header("Connection")), ("behind", Some("close")));
    assert!(answer.header("Retry-After").is_some());
}

#[test]
fn a_busy_connection_gets_connection_close_before_it_ends() {
    let cluster = Plan::new("term-busy").start();
    let node = cluster.node(1);
    // On a busy machine the time in which `Connection: close` is sent may pass between two requests; hardly five times.
    let closed = (0..5).any(|_| {
        let mut busy = Connection::open(node.api, ANSWER_WAIT).expect("it listens");
        busy.send(&Request::get("/livez")).expect("an answer").expect(200);
        node.signal(Signal::TERM);
        let mut answers = std::iter::from_fn(|| busy.send(&Request::get("/livez")).ok());
        let closed = answers.any(|answer| answer.header("Connection") == Some("close"));
        assert_eq!(node.wait_end(LIMIT).code(), Some(0), "{}", node.log_tail(10));
        cluster.start_ready(1);
        closed
    });
    assert!(closed, "no answer had `Connection: close`");
}
