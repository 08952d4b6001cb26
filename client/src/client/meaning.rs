//! What an answer says about a call: done, refused, not yet, or unknown.

use std::time::Duration;

use crate::api::{self, Code, Problem};

use super::attempt::RawAnswer;

/// What an answer says about the call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
    Done,
    /// Final for this call.
    Refused(Box<Problem>),
    /// Certainly not done by this attempt; later it may be.
    NotYet(Box<Problem>),
    /// May have been done.
    Unknown(Box<Problem>),
}

/// Reads an answer by its status and, where it is an error, its problem.
pub(super) fn meaning(answer: &RawAnswer) -> Meaning {
    if (200..300).contains(&answer.status) {
        return Meaning::Done;
    }
    let problem = Box::new(problem_of(answer));
    match answer.status {
        // Bare, from a node that could not read the head in time: nothing was done, and the next head may be quicker.
        408 | 429 | 503 | 507 => Meaning::NotYet(problem),
        504 => Meaning::Unknown(problem),
        // A node's own 500 says that nothing is half done; any other comes from something in between.
        500 if answer.header("content-type") == Some(api::PROBLEM_JSON) => Meaning::Refused(problem),
        500.. => Meaning::Unknown(problem),
        _ => Meaning::Refused(problem),
    }
}

/// The problem in an answer, or one made of its bare status.
fn problem_of(answer: &RawAnswer) -> Problem {
    if let Ok(problem) = serde_json::from_slice::<Problem>(&answer.body) {
        return problem;
    }
    let code = match answer.status {
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        413 | 431 => Code::TooLarge,
        415 => Code::UnsupportedMediaType,
        422 => Code::IdempotencyKeyReused,
        429 => Code::RateLimited,
        503 | 408 => Code::Overloaded,
        504 => Code::OutcomeUnknown,
        507 => Code::DiskFull,
        500.. => Code::Internal,
        _ => Code::InvalidRequest,
    };
    let mut problem = Problem::new(code, format!("a bare {} without a problem", answer.status));
    problem.status = answer.status;
    problem
}

/// How long the server asks to wait. Only an overloaded one is obeyed: another server may know a leader at once.
pub(super) fn wished(answer: &RawAnswer, problem: &Problem) -> Duration {
    match problem.code {
        Code::Overloaded | Code::RateLimited => Duration::from_secs(answer.number("retry-after").unwrap_or(0).min(60)),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;

    use super::*;

    fn given(status: u16, code: Option<Code>) -> RawAnswer {
        let mut headers = HeaderMap::new();
        let body = match code {
            Some(code) => {
                headers.insert("content-type", HeaderValue::from_static(api::PROBLEM_JSON));
                serde_json::to_vec(&Problem::new(code, "so")).unwrap()
            }
            None => b"no".to_vec(),
        };
        RawAnswer { status, headers, body: body.into(), server: 0 }
    }

    fn said(status: u16, code: Option<Code>) -> &'static str {
        match meaning(&given(status, code)) {
            Meaning::Done => "done",
            Meaning::Refused(_) => "refused",
            Meaning::NotYet(_) => "not yet",
            Meaning::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn every_code_of_the_contract_has_its_meaning() {
        for code in Code::ALL {
            let expected = match code.status() {
                429 | 503 | 507 => "not yet",
                504 => "unknown",
                _ => "refused",
            };
            assert_eq!(said(code.status(), Some(code)), expected, "{code:?}");
        }
    }

    #[test]
    fn an_answer_of_something_in_between_leaves_the_outcome_open() {
        assert_eq!(said(500, None), "unknown");
        assert_eq!(said(502, None), "unknown");
        assert_eq!(said(431, None), "refused");
        assert_eq!(said(408, None), "not yet");
    }
}
