//! What an answer says about a call: done, refused, not yet, or unknown. Nothing else in the client decides it.
//!
//! Only a node's own answer is certain. An answer is a node's where it has `Etebar-Node` and comes from no cache; a "no" is
//! certain where it also is a problem whose code fits the status, a "yes" where it also has the expected body. All else
//! comes from something in between, which may have forwarded the request: it leaves the outcome unknown.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;

use etebar_api::{self as api, Code, Problem};

use crate::{Call, RawAnswer};

/// Shortest and longest time for which a server that limits a key's rate is sent nothing. Source: `Retry-After` has whole
/// seconds; in a day the largest batch is regained at the lowest rate.
const RATE_WAIT_MIN: Duration = Duration::from_secs(1);
const RATE_WAIT_MAX: Duration = Duration::from_hours(24);
/// Longest wait that an overloaded server may ask for. Source: an overload that lasts longer does not end by waiting.
const OVERLOAD_WAIT_MAX: Duration = Duration::from_mins(1);

/// What one attempt says about its call.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning<T> {
    /// Done, with what the answer brought.
    Done(T),
    /// Final for this call.
    Refused(Box<Problem>),
    /// Certainly not done by this attempt; later it may be.
    NotYet(Reason),
    /// May have been done.
    Unknown(Reason),
}

/// Why an attempt did not settle its call.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The node's problem; `None` where no node answered with one.
    pub problem: Option<Box<Problem>>,
    /// What happened, in a sentence for people.
    pub detail: String,
}

impl Reason {
    pub(crate) fn of(detail: impl Into<String>) -> Reason {
        Reason { problem: None, detail: detail.into() }
    }
}

impl From<Box<Problem>> for Reason {
    fn from(problem: Box<Problem>) -> Reason {
        Reason { detail: format!("{}: {}", problem.code.as_str(), problem.detail), problem: Some(problem) }
    }
}

/// Reads an answer. `read` takes the expected value from a node's success, or says why it is something else.
pub(crate) fn meaning<T>(
    call: &Call,
    answer: &RawAnswer,
    read: impl Fn(&RawAnswer) -> Result<T, String>,
) -> Meaning<T> {
    if let Err(why) = from_node(answer) {
        return Meaning::Unknown(Reason::of(why));
    }
    if (200..300).contains(&answer.status) {
        return success(call, answer, read);
    }
    let Some(problem) = problem_of(answer) else {
        return Meaning::Unknown(Reason::of(format!("a {} without a problem that is known here", answer.status)));
    };
    match problem.code {
        Code::RateLimited
        | Code::NoLeader
        | Code::Overloaded
        | Code::Behind
        | Code::UpgradePending
        | Code::OnHold
        | Code::DiskFull => Meaning::NotYet(problem.into()),
        // A panic may come after the commit.
        Code::OutcomeUnknown | Code::Internal => Meaning::Unknown(problem.into()),
        Code::InvalidRequest
        | Code::IdempotencyKeyMissing
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::InsufficientCredit
        | Code::SellerSuspended
        | Code::CreditRequestDecided
        | Code::ChargeReversed
        | Code::LimitExceeded
        | Code::NameTaken
        | Code::LastAdminKey
        | Code::AddressTaken
        | Code::MemberBehind
        | Code::QuorumAtRisk
        | Code::CannotLead
        | Code::TooLarge
        | Code::UnsupportedMediaType
        | Code::IdempotencyKeyReused => Meaning::Refused(problem),
    }
}

/// Fails where the answer is no node's to this very request, and says why.
fn from_node(answer: &RawAnswer) -> Result<(), String> {
    if answer.number(api::NODE).is_none() {
        return Err(format!("a {} that names no node: something in between gave it", answer.status));
    }
    // Some caches also mark what they have just fetched, with an age of 0.
    match answer.header("age") {
        None | Some("0") => Ok(()),
        Some(_) => Err(format!("a {} out of a cache", answer.status)),
    }
}

/// Whether these are the headers of a node's own answer.
pub(crate) fn is_from_node(headers: &HeaderMap) -> bool {
    let bare = RawAnswer { status: 200, headers: headers.clone(), body: Bytes::new(), server: 0 };
    from_node(&bare).is_ok()
}

fn success<T>(call: &Call, answer: &RawAnswer, read: impl Fn(&RawAnswer) -> Result<T, String>) -> Meaning<T> {
    let expected: &[u16] = match call.method {
        Method::GET => &[200],
        Method::DELETE => &[204],
        _ => &[200, 201],
    };
    if !expected.contains(&answer.status) {
        return Meaning::Unknown(Reason::of(format!("a {} is no answer to this", answer.status)));
    }
    match read(answer) {
        Ok(value) => Meaning::Done(value),
        Err(why) => Meaning::Unknown(Reason::of(why)),
    }
}

/// The problem in a node's answer: one whose code is known and fits the status, or what a bare answer stands for that a node
/// gives where it could not read the head.
fn problem_of(answer: &RawAnswer) -> Option<Box<Problem>> {
    if answer.body.is_empty() {
        let (code, detail) = match answer.status {
            400 => (Code::InvalidRequest, "the node could not read the request's head"),
            408 => (Code::Overloaded, "the request's head did not arrive in time"),
            431 => (Code::TooLarge, "the request's head is too large"),
            _ => return None,
        };
        return Some(Box::new(Problem { status: answer.status, ..Problem::new(code, detail) }));
    }
    let kind = answer.header("content-type")?.split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case(api::PROBLEM_JSON) {
        return None;
    }
    let problem: Problem = serde_json::from_slice(&answer.body).ok()?;
    let fits = problem.status == answer.status && problem.code.status() == answer.status;
    fits.then(|| Box::new(problem))
}

/// How long a server that did nothing asks to wait, and for which servers that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    /// Send this server nothing for so long; others may be asked.
    ThisServer(Duration),
    /// Send nothing to any server for so long.
    AnyServer(Duration),
}

/// How long the server asks to wait. A rate limit is its own, an overload may be the leader's, and otherwise another server
/// may know a leader at once.
pub(crate) fn retry_after(answer: &RawAnswer, reason: &Reason) -> RetryAfter {
    let seconds = answer.number("retry-after").unwrap_or(0);
    match reason.problem.as_ref().map(|problem| problem.code) {
        Some(Code::RateLimited) => {
            RetryAfter::ThisServer(Duration::from_secs(seconds).clamp(RATE_WAIT_MIN, RATE_WAIT_MAX))
        }
        Some(Code::Overloaded) => RetryAfter::AnyServer(Duration::from_secs(seconds).min(OVERLOAD_WAIT_MAX)),
        Some(_) | None => RetryAfter::AnyServer(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn given(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<Bytes>) -> RawAnswer {
        let named =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        RawAnswer { status, headers: named.collect(), body: body.into(), server: 0 }
    }

    fn problem(code: Code) -> Vec<u8> {
        serde_json::to_vec(&Problem::new(code, "so")).unwrap()
    }

    /// What such an answer says about a write whose success has the body `yes`.
    fn said(answer: &RawAnswer) -> &'static str {
        let read = |answer: &RawAnswer| if answer.body == "yes" { Ok(()) } else { Err("no".to_owned()) };
        match meaning(&Call::post("/v1/charges"), answer, read) {
            Meaning::Done(()) => "done",
            Meaning::Refused(_) => "refused",
            Meaning::NotYet(_) => "not yet",
            Meaning::Unknown(_) => "unknown",
        }
    }

    const NODE: (&str, &str) = (api::NODE, "2");
    const PROBLEM: (&str, &str) = ("content-type", api::PROBLEM_JSON);

    #[test]
    fn every_code_of_the_contract_has_its_meaning_where_a_node_gives_it_and_none_where_another_does() {
        for code in Code::ALL {
            let expected = match code.status() {
                429 | 503 | 507 => "not yet",
                500 | 504 => "unknown",
                _ => "refused",
            };
            assert_eq!(said(&given(code.status(), &[NODE, PROBLEM], problem(code))), expected, "{code:?}");
            assert_eq!(said(&given(code.status(), &[PROBLEM], problem(code))), "unknown", "{code:?}");
            let page = given(code.status(), &[NODE, ("content-type", "text/html")], problem(code));
            assert_eq!(said(&page), "unknown", "{code:?}");
            // Another status than the code's, and the body of another code.
            assert_eq!(said(&given(418, &[NODE, PROBLEM], problem(code))), "unknown", "{code:?}");
        }
        let unknown = r#"{"type":"/problems/new","code":"new","title":"T","status":503,"detail":"d","retryable":true}"#;
        assert_eq!(said(&given(503, &[NODE, PROBLEM], unknown)), "unknown");
        let other_case = ("content-type", "Application/Problem+JSON; charset=utf-8");
        assert_eq!(said(&given(503, &[NODE, other_case], problem(Code::NoLeader))), "not yet");
    }

    #[test]
    fn a_success_is_one_where_a_node_gives_it_with_what_was_asked_for() {
        for status in [200, 201] {
            assert_eq!(said(&given(status, &[NODE], "yes")), "done");
            assert_eq!(said(&given(status, &[], "yes")), "unknown");
            assert_eq!(said(&given(status, &[NODE], "other")), "unknown");
            assert_eq!(said(&given(status, &[NODE, ("age", "7")], "yes")), "unknown");
            assert_eq!(said(&given(status, &[NODE, ("age", "0")], "yes")), "done");
        }
        for status in [100, 101, 202, 204, 206, 301, 302, 307, 308] {
            assert_eq!(said(&given(status, &[NODE], "yes")), "unknown", "{status}");
        }
    }

    #[test]
    fn a_bare_answer_to_a_head_that_was_not_read_is_certain_where_a_node_gives_it() {
        for (status, expected) in [(400, "refused"), (431, "refused"), (408, "not yet"), (503, "unknown")] {
            assert_eq!(said(&given(status, &[NODE], "")), expected, "{status}");
            assert_eq!(said(&given(status, &[], "")), "unknown", "{status}");
            assert_eq!(said(&given(status, &[NODE], "<html>")), "unknown", "{status}");
        }
    }
}
