//! One call: attempts on all servers until an answer settles it or its time is up.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use ledger::plants::planted;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::api::{self, Code, Problem};

use super::attempt::{Failure, RawAnswer};
use super::error::{Error, NotDone, Unknown};
use super::meaning::{Meaning, meaning, wished};
use super::{Client, IdempotencyKey, backoff};

/// What repeating a call may do. Every call of this client may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing moves.
    Read,
    /// Something moves, once, however often it is sent: it carries a key, or is so by nature.
    Write,
}

/// A call, ready to be sent any number of times with the same bytes.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub body: Option<Bytes>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub effect: Effect,
    pub key: Option<IdempotencyKey>,
    /// Longest wait of the first attempt; each further one may wait twice as long, up to [`PATIENCE_MAX`].
    pub patience: Duration,
}

/// An answer and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub value: T,
    /// The decision was made before; nothing moved now.
    pub replayed: bool,
    /// Position that it reflects.
    pub applied: u64,
    /// Id of the node that gave it; 0 where it did not say.
    pub node: u64,
    pub attempts: u32,
}

/// First wait for an answer. Source: several elections; a node that is slower is better asked again elsewhere.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// Longest wait for one answer, in an attempt or at once for what takes a node long.
/// Source: a node's own limit of 10 s for a request, and the way.
pub const PATIENCE_MAX: Duration = Duration::from_secs(12);

impl Call {
    pub fn get(path: impl Into<String>) -> Call {
        Call::new(Method::GET, path.into(), Effect::Read)
    }

    pub fn post(path: impl Into<String>) -> Call {
        Call::new(Method::POST, path.into(), Effect::Write)
    }

    pub fn delete(path: impl Into<String>) -> Call {
        Call::new(Method::DELETE, path.into(), Effect::Write)
    }

    fn new(method: Method, path: String, effect: Effect) -> Call {
        Call { method, path, body: None, headers: Vec::new(), effect, key: None, patience: PATIENCE }
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Call {
        let bytes = serde_json::to_vec(body).expect("a request body has only texts for keys");
        self.body = Some(Bytes::from(bytes));
        self
    }

    /// Under an idempotency key.
    #[must_use]
    pub fn keyed(mut self, key: &IdempotencyKey) -> Call {
        self.headers.push((HeaderName::from_static(api::IDEMPOTENCY_KEY), key.header()));
        self.key = Some(key.clone());
        self
    }

    /// For a planted bug alone: the same call, which nobody would know again.
    fn renamed(&self) -> Call {
        let headers = Vec::new();
        let key = self.key.as_ref().and_then(|key| IdempotencyKey::parse(&format!("{key}~")).ok());
        key.map_or_else(|| self.clone(), |key| Call { headers, ..self.clone() }.keyed(&key))
    }

    /// For what takes a node long: the whole books, a large batch.
    #[must_use]
    pub fn patient(mut self) -> Call {
        self.patience = PATIENCE_MAX;
        self
    }
}

impl Client {
    /// Sends `call` until an answer settles it, over all servers, within the client's time-out.
    pub async fn send(&self, call: &Call) -> Result<(RawAnswer, u32), Error> {
        let deadline = Instant::now() + self.timeout;
        let first = self.current.load(std::sync::atomic::Ordering::Relaxed);
        let mut course = Course::default();
        loop {
            let index = first.wrapping_add(course.attempts as usize) % self.servers.len();
            let patience = call.patience.saturating_mul(1 << course.attempts.min(4)).min(PATIENCE_MAX);
            let patience = patience.min(deadline.saturating_duration_since(Instant::now()));
            course.attempts += 1;
            let mut pause = backoff::pause(course.attempts, self.servers.len());
            let renamed = (planted("client-repeats-under-new-key") && course.attempts > 1).then(|| call.renamed());
            match self.attempt(index, renamed.as_ref().unwrap_or(call), patience).await {
                Ok(answer) => match meaning(&answer) {
                    Meaning::Done => {
                        self.current.store(index, std::sync::atomic::Ordering::Relaxed);
                        return Ok((answer, course.attempts));
                    }
                    Meaning::Refused(problem) => return Err(course.refused(call, problem)),
                    Meaning::NotYet(problem) => {
                        pause = pause.max(wished(&answer, &problem));
                        course.heard(problem);
                    }
                    Meaning::Unknown(problem) => {
                        course.may_be_done = true;
                        course.heard(problem);
                    }
                },
                Err(failure) => {
                    course.untrusted = if matches!(failure, Failure::Untrusted(_)) { course.untrusted + 1 } else { 0 };
                    course.may_be_done |= failure.may_be_done();
                    course.problem = None;
                    course.detail = failure.to_string();
                }
            }
            // Each of them in its turn: no time makes another certificate of it.
            if course.untrusted >= self.servers.len() || Instant::now() + pause >= deadline {
                return Err(course.out_of_time(call));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends `call` and reads its answer as `T`.
    pub async fn fetch<T: DeserializeOwned>(&self, call: &Call) -> Result<Answer<T>, Error> {
        let (raw, attempts) = self.send(call).await?;
        let value = serde_json::from_slice(&raw.body).map_err(|error| unreadable(call, attempts, &error))?;
        Ok(answer(&raw, attempts, value))
    }

    /// Sends `call`, whose answer has no body.
    pub(super) async fn fetch_nothing(&self, call: &Call) -> Result<Answer<()>, Error> {
        let (raw, attempts) = self.send(call).await?;
        Ok(answer(&raw, attempts, ()))
    }
}

fn answer<T>(raw: &RawAnswer, attempts: u32, value: T) -> Answer<T> {
    Answer {
        value,
        replayed: raw.header(api::IDEMPOTENCY_REPLAYED) == Some("true"),
        applied: raw.number(api::APPLIED).unwrap_or(0),
        node: raw.number(api::NODE).unwrap_or(0),
        attempts,
    }
}

/// What is known of a call so far.
#[derive(Debug, Default)]
struct Course {
    attempts: u32,
    /// Some attempt may have been done.
    may_be_done: bool,
    /// Attempts in a row that found nobody to trust.
    untrusted: usize,
    problem: Option<Box<Problem>>,
    detail: String,
}

impl Course {
    fn heard(&mut self, problem: Box<Problem>) {
        self.detail = format!("{}: {}", problem.code.as_str(), problem.detail);
        self.problem = Some(problem);
    }

    /// A refusal that is decided before a key is looked up leaves open what became of an earlier attempt.
    fn refused(mut self, call: &Call, problem: Box<Problem>) -> Error {
        let looked_up = match problem.code {
            Code::Unauthenticated | Code::Forbidden | Code::MethodNotAllowed | Code::Internal => false,
            Code::InvalidRequest
            | Code::IdempotencyKeyMissing
            | Code::NotFound
            | Code::InsufficientCredit
            | Code::SellerSuspended
            | Code::CreditRequestDecided
            | Code::ChargeReversed
            | Code::LimitExceeded
            | Code::NameTaken
            | Code::LastAdminKey
            | Code::TooLarge
            | Code::UnsupportedMediaType
            | Code::RateLimited
            | Code::IdempotencyKeyReused
            | Code::NoLeader
            | Code::Overloaded
            | Code::Behind
            | Code::DiskFull
            | Code::OutcomeUnknown => true,
        };
        if self.may_be_done && call.effect == Effect::Write && !looked_up {
            self.heard(problem);
            return self.out_of_time(call);
        }
        Error::Refused(problem)
    }

    fn out_of_time(self, call: &Call) -> Error {
        let Course { attempts, may_be_done, untrusted, problem, detail } = self;
        match (call.effect, may_be_done) {
            (Effect::Write, true) => Error::OutcomeUnknown(Unknown { attempts, key: call.key.clone(), detail }),
            (Effect::Write, false) | (Effect::Read, _) => {
                Error::NotDone(NotDone { attempts, problem, untrusted: untrusted > 0, detail })
            }
        }
    }
}

fn unreadable(call: &Call, attempts: u32, error: &serde_json::Error) -> Error {
    let detail = format!("the answer is not readable: {error}");
    let course = Course { attempts, may_be_done: true, detail, ..Course::default() };
    course.out_of_time(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_before_the_key_is_looked_up_does_not_settle_an_earlier_attempt() {
        let call = Call::post("/v1/charges");
        let after_unknown = || Course { may_be_done: true, ..Course::default() };
        let of = |code| Box::new(Problem::new(code, "so"));
        assert!(matches!(after_unknown().refused(&call, of(Code::Unauthenticated)), Error::OutcomeUnknown(_)));
        assert!(matches!(after_unknown().refused(&call, of(Code::InsufficientCredit)), Error::Refused(_)));
        assert!(matches!(Course::default().refused(&call, of(Code::Unauthenticated)), Error::Refused(_)));
    }
}
