//! The client library against servers that misbehave.

use std::time::{Duration, Instant};

use etebar::api::{AmountIn, Code, NewCharge};
use etebar::{Client, Error, IdempotencyKey};

use crate::fake::{CHARGE, ENOUGH, Fake, Reaction, nowhere, problem};

fn answered() -> Reaction {
    Reaction::Answer(201, vec!["etebar-applied: 12", "etebar-node: 2"], CHARGE.to_owned())
}

fn refused(code: &str, status: u16) -> Reaction {
    Reaction::Answer(status, vec![], problem(code, status))
}

fn charge() -> NewCharge<'static> {
    NewCharge { phone: "09123456789".into(), amount: AmountIn::from_minor(5_000, 0), reference: None }
}

fn client(servers: &[&str]) -> Client {
    Client::new(servers).unwrap().with_key("etb_seller_x").unwrap().with_timeout(Duration::from_secs(5))
}

fn key() -> IdempotencyKey {
    IdempotencyKey::parse("order-17").unwrap()
}

#[tokio::test]
async fn an_answer_brings_its_value_position_and_node() {
    let fake = Fake::start(|_, _| answered());
    let answer = client(&[&fake.url]).charge(&charge(), &key()).await.unwrap();
    assert_eq!((answer.value.entry, answer.applied, answer.node, answer.attempts), (7, 12, 2, 1));
    assert!(!answer.replayed);
    let asked = &fake.asked()[0];
    assert_eq!(asked.line, "POST /v1/charges");
    assert_eq!(asked.key.as_deref(), Some("order-17"));
    assert_eq!(asked.authorization.as_deref(), Some("Bearer etb_seller_x"));
    assert_eq!(asked.body, r#"{"phone":"09123456789","amount":"5000"}"#);
}

#[tokio::test]
async fn a_replay_says_so() {
    let fake = Fake::start(|_, _| Reaction::Answer(201, vec!["idempotency-replayed: true"], CHARGE.to_owned()));
    assert!(client(&[&fake.url]).charge(&charge(), &key()).await.unwrap().replayed);
}

#[tokio::test]
async fn a_broken_connection_is_retried_under_the_same_key() {
    let fake = Fake::node(|_, before| if before < 2 { Reaction::Break } else { answered() });
    let answer = client(&[&fake.url]).charge(&charge(), &key()).await.unwrap();
    assert_eq!(answer.attempts, 3);
    let asked = fake.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|request| *request == asked[0]));
}

#[tokio::test]
async fn another_server_is_asked_where_one_is_down_or_has_no_leader() {
    let leaderless = Fake::start(|_, _| refused("no_leader", 503));
    let fine = Fake::start(|_, _| answered());
    let client = client(&[&nowhere(), &leaderless.url, &fine.url]);
    assert_eq!(client.charge(&charge(), &key()).await.unwrap().attempts, 3);
    let again = client.charge(&charge(), &key()).await.unwrap();
    assert_eq!(again.attempts, 1, "the server that answered is asked first");
}

#[tokio::test]
async fn a_504_is_retried_under_the_same_key_until_it_is_settled() {
    let fake = Fake::node(|_, before| if before == 0 { refused("outcome_unknown", 504) } else { answered() });
    assert_eq!(client(&[&fake.url]).charge(&charge(), &key()).await.unwrap().attempts, 2);
    assert_eq!(fake.asked()[0].key, fake.asked()[1].key);
}

#[tokio::test]
async fn a_decided_refusal_is_final() {
    let fake = Fake::start(|_, _| refused("insufficient_credit", 409));
    let error = client(&[&fake.url]).charge(&charge(), &key()).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(problem) if problem.code == Code::InsufficientCredit), "{error}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_revoked_key_after_a_broken_attempt_leaves_the_outcome_unknown() {
    let fake = Fake::node(|_, before| if before == 0 { Reaction::Break } else { refused("unauthenticated", 401) });
    let error = client(&[&fake.url]).charge(&charge(), &key()).await.unwrap_err();
    assert!(matches!(&error, Error::OutcomeUnknown(unknown) if unknown.key == Some(key())), "{error}");
}

#[tokio::test]
async fn what_no_server_took_is_certainly_not_done() {
    let fake = Fake::start(|_, _| refused("no_leader", 503));
    let client = client(&[&nowhere(), &fake.url]).with_timeout(ENOUGH);
    let error = client.charge(&charge(), &key()).await.unwrap_err();
    assert!(matches!(error, Error::NotDone(_)), "{error}");
}

#[tokio::test]
async fn silence_ends_at_the_deadline_with_an_unknown_outcome() {
    let fake = Fake::node(|_, _| Reaction::NoAnswer);
    let client = client(&[&fake.url]).with_timeout(ENOUGH);
    let started = Instant::now();
    let error = client.charge(&charge(), &key()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error}");
    assert!(started.elapsed() < 2 * ENOUGH, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_call_that_ends_in_the_middle_of_an_attempt_says_why_the_one_before_it_failed() {
    let fake = Fake::node(|_, before| if before == 0 { refused("no_leader", 503) } else { Reaction::NoAnswer });
    let client = client(&[&fake.url]).with_timeout(ENOUGH);
    let error = client.audit(None).await.unwrap_err();
    assert!(matches!(&error, Error::NotDone(not_done) if not_done.attempts == 2), "{error:?}");
    assert!(error.to_string().contains("no_leader"), "{error}");
}

#[tokio::test]
async fn a_read_without_an_answer_is_never_unknown() {
    let fake = Fake::start(|_, _| Reaction::Break);
    let client = client(&[&fake.url]).with_timeout(ENOUGH);
    assert!(matches!(client.audit(None).await.unwrap_err(), Error::NotDone(_)));
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_attempt() {
    let fake = Fake::node(|_, _| Reaction::AnswerAndClose(201, CHARGE.to_owned()));
    let client = client(&[&fake.url]);
    for _ in 0..20 {
        let answer = client.charge(&charge(), &key()).await.unwrap();
        assert!(answer.attempts <= 2, "{}", answer.attempts);
    }
}

fn limited(retry_after: &'static str) -> Reaction {
    Reaction::Answer(429, vec![retry_after], problem("rate_limited", 429))
}

#[tokio::test]
async fn a_rate_is_a_nodes_own_so_the_others_are_asked_at_once_and_that_one_no_more() {
    let full = Fake::start(|_, _| limited("retry-after: 60"));
    let fine = Fake::node(|_, before| if before < 3 { refused("no_leader", 503) } else { answered() });
    let started = Instant::now();
    let answer = client(&[&full.url, &fine.url]).charge(&charge(), &key()).await.unwrap();
    assert_eq!((answer.attempts, full.asked().len(), fine.asked().len()), (5, 1, 4));
    assert!(started.elapsed() < Duration::from_secs(30), "it is not waited for: {:?}", started.elapsed());
}

#[tokio::test]
async fn where_every_server_limits_the_rate_a_call_waits_for_the_first_that_is_ready() {
    let later = Fake::start(|_, _| limited("retry-after: 60"));
    let soon = Fake::start(|_, before| if before == 0 { limited("retry-after: 1") } else { answered() });
    let started = Instant::now();
    let answer = client(&[&later.url, &soon.url]).charge(&charge(), &key()).await.unwrap();
    assert_eq!((answer.attempts, later.asked().len()), (3, 1));
    assert!(started.elapsed() >= Duration::from_millis(990), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_wait_that_a_call_has_no_time_for_ends_it_at_once_and_is_returned() {
    let full = Fake::node(|_, _| limited("retry-after: 500"));
    let fuller = Fake::node(|_, _| limited("retry-after: 7200"));
    let started = Instant::now();
    let error = client(&[&fuller.url, &full.url]).charge(&charge(), &key()).await.unwrap_err();
    let wait = error.retry_after().unwrap();
    assert!(matches!(&error, Error::NotDone(_)) && error.problem().unwrap().code == Code::RateLimited, "{error}");
    assert!(wait <= Duration::from_secs(500) && wait > Duration::from_secs(490), "{wait:?}");
    let broken = Fake::node(|_, before| if before == 0 { Reaction::Break } else { limited("retry-after: 500") });
    let error = client(&[&broken.url]).charge(&charge(), &key()).await.unwrap_err();
    assert!(matches!(&error, Error::OutcomeUnknown(_)) && error.retry_after().is_some(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_list_is_walked_page_by_page_under_its_filter() {
    let fake = Fake::start(|asked, _| {
        let last = asked.line.contains("after=a%2Bb");
        let next = if last { "null" } else { "\"a+b\"" };
        Reaction::Answer(200, vec![], format!(r#"{{"items":[],"next":{next}}}"#))
    });
    let mut pager = client(&[&fake.url]).sellers_list(10);
    assert!(pager.next_page().await.unwrap().is_some());
    assert!(pager.next_page().await.unwrap().is_some());
    assert!(pager.next_page().await.unwrap().is_none());
    let lines: Vec<_> = fake.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["GET /v1/sellers?limit=10", "GET /v1/sellers?limit=10&after=a%2Bb"]);
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in [
        "",
        "http://",
        "localhost",
        "http://host",
        "http://:80",
        "https://",
        "https://host",
        "https://host:1/x",
        "https://..:1",
        "http://host:0",
        "http://h:1/x",
        "http://h:99999",
        "::1:7101",
        "https://::1:7101",
        "http://user@h:1",
        "http://h:+80",
    ] {
        assert!(Client::new([url]).is_err(), "{url:?}");
    }
    assert!(Client::new(Vec::<String>::new()).is_err());
    assert!(
        Client::new([
            "http://127.0.0.1:7101/",
            "localhost:7102",
            "http://[::1]:7103",
            "https://shop.example:443",
            "https://[::1]:7104"
        ])
        .is_ok()
    );
}
