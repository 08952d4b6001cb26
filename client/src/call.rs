//! One call: attempts on all servers until an answer settles it or its time is up.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use etebar_api as api;

use super::attempt::{Failure, RawAnswer};
use super::certainty::{Course, Heard, Learned, Meaning, meaning, wished};
use super::error::Error;
use super::{Client, IdempotencyKey, backoff};

/// What repeating a call may do. Every call of this client may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing moves.
    Read,
    /// Something moves, and the same again moves nothing more, whenever it is sent.
    Write,
    /// Something moves, once, for as long as the cluster remembers the idempotency keys that it carries.
    Keyed,
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
/// What the key window is taken for where nobody has told it. Source: a cluster with a shorter one cannot be made.
const WINDOW_MIN: Duration = Duration::from_secs(1);

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
        self.keyed_within()
    }

    /// With idempotency keys in its body.
    #[must_use]
    pub fn keyed_within(mut self) -> Call {
        self.effect = Effect::Keyed;
        self
    }

    /// For what takes a node long: the whole books, a large batch.
    #[must_use]
    pub fn patient(mut self) -> Call {
        self.patience = PATIENCE_MAX;
        self
    }
}

impl Client {
    /// Sends `call` and reads its answer as `T`.
    pub async fn fetch<T: DeserializeOwned>(&self, call: &Call) -> Result<Answer<T>, Error> {
        self.fetch_matching(call, |_| true).await
    }

    /// The same for an answer that shows what it belongs to: `is_ours` says whether that is this call.
    pub(super) async fn fetch_matching<T: DeserializeOwned>(
        &self,
        call: &Call,
        is_ours: impl Fn(&T) -> bool,
    ) -> Result<Answer<T>, Error> {
        let read = |raw: &RawAnswer| {
            let value: T = read_json(raw)?;
            if is_ours(&value) { Ok(value) } else { Err("the answer is one to something else".to_owned()) }
        };
        self.pursue(call, read).await.map(|(answer, _)| answer)
    }

    /// Sends `call` and reads its answer as `T`, with the answer as it came.
    pub async fn fetch_raw<T: DeserializeOwned>(&self, call: &Call) -> Result<(T, RawAnswer), Error> {
        self.pursue(call, read_json).await.map(|(answer, raw)| (answer.value, raw))
    }

    /// Sends `call` to server `index` alone, once, and reads its answer as `T`; with the node that gave it.
    pub async fn fetch_once<T: DeserializeOwned>(
        &self,
        index: usize,
        call: &Call,
        patience: Duration,
    ) -> Result<Meaning<Answer<T>>, super::Failure> {
        let raw = self.attempt(index, call, patience).await?;
        Ok(meaning(call, &raw, |raw| read_json(raw).map(|value| answer(raw, 1, value))))
    }

    /// Sends `call`, whose answer has no body.
    pub(super) async fn fetch_nothing(&self, call: &Call) -> Result<Answer<()>, Error> {
        let read = |raw: &RawAnswer| if raw.body.is_empty() { Ok(()) } else { Err("the answer has a body".to_owned()) };
        self.pursue(call, read).await.map(|(answer, _)| answer)
    }

    /// Sends `call` until an answer settles it, over all servers, within the client's time-out.
    async fn pursue<T>(
        &self,
        call: &Call,
        read: impl Fn(&RawAnswer) -> Result<T, String>,
    ) -> Result<(Answer<T>, RawAnswer), Error> {
        let mut course = Course::new(Instant::now() + self.timeout);
        let first = self.current.load(Ordering::Relaxed);
        loop {
            let index = first.wrapping_add(course.turns as usize) % self.servers.len();
            course.turns += 1;
            let mut pause = backoff::pause(course.turns, self.servers.len());
            match self.may_send(call, index, &mut course).await {
                MaySend::Until(until) => match self.attempt_until(until, call, index, &mut course, &read).await {
                    ControlFlow::Break(ended) => return ended,
                    ControlFlow::Continue(wish) => pause = pause.max(wish),
                },
                MaySend::NotYet => {}
                MaySend::Never => return Err(course.out_of_time(call)),
            }
            // Each of them in its turn: no time makes another certificate of it.
            if course.untrusted >= self.servers.len() || Instant::now() + pause >= course.deadline {
                return Err(course.out_of_time(call));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether `call` may be sent (again). What may have been done is repeated only while its key is surely remembered: for
    /// half of the key window, which is learned here where it is not known.
    async fn may_send(&self, call: &Call, index: usize, course: &mut Course) -> MaySend {
        let (Effect::Keyed, Some(since)) = (call.effect, course.may_be_done_since) else {
            return MaySend::Until(course.deadline);
        };
        let window = match self.learn_key_window(index, PATIENCE.min(course.left())).await {
            Learned::Window(window) => window,
            Learned::Refused(problem) => {
                course.hear(problem.into());
                return MaySend::Never;
            }
            Learned::NotNow(why) => {
                let until = course.deadline.min(since + WINDOW_MIN / 2);
                if Instant::now() < until {
                    return MaySend::Until(until);
                }
                course.not_repeated = Some(format!("how long keys are remembered could not be learned: {why}"));
                return MaySend::NotYet;
            }
        };
        course.deadline = course.deadline.min(since + window / 2);
        course.key_window = Some(window);
        if course.left().is_zero() { MaySend::Never } else { MaySend::Until(course.deadline) }
    }

    /// One attempt, which ends by then. Breaks with the call's end, or goes on with how long the server asks to wait.
    async fn attempt_until<T>(
        &self,
        until: Instant,
        call: &Call,
        index: usize,
        course: &mut Course,
        read: impl Fn(&RawAnswer) -> Result<T, String>,
    ) -> ControlFlow<Result<(Answer<T>, RawAnswer), Error>, Duration> {
        let started = Instant::now();
        let patience = call.patience.saturating_mul(1 << course.attempts.min(4)).min(PATIENCE_MAX);
        let patience = patience.min(until.saturating_duration_since(started));
        course.attempts += 1;
        let raw = match self.attempt(index, call, patience).await {
            Ok(raw) => raw,
            Err(failure) => {
                if failure.may_be_done() {
                    course.may_be_done_since.get_or_insert(started);
                }
                course.untrusted = if matches!(failure, Failure::Untrusted(_)) { course.untrusted + 1 } else { 0 };
                course.hear(Heard::of(failure.to_string()));
                return ControlFlow::Continue(Duration::ZERO);
            }
        };
        course.untrusted = 0;
        match meaning(call, &raw, read) {
            Meaning::Done(value) => {
                self.current.store(index, Ordering::Relaxed);
                ControlFlow::Break(Ok((answer(&raw, course.attempts, value), raw)))
            }
            Meaning::Refused(problem) => ControlFlow::Break(Err(course.refused(call, problem))),
            Meaning::NotYet(heard) => {
                let wish = wished(&raw, &heard);
                course.hear(heard);
                ControlFlow::Continue(wish)
            }
            Meaning::Unknown(heard) => {
                course.may_be_done_since.get_or_insert(started);
                course
                    .hear(Heard { detail: format!("{}: {}", self.servers[index].authority(), heard.detail), ..heard });
                ControlFlow::Continue(Duration::ZERO)
            }
        }
    }
}

enum MaySend {
    /// Now, but no later than then.
    Until(Instant),
    NotYet,
    Never,
}

fn read_json<T: DeserializeOwned>(raw: &RawAnswer) -> Result<T, String> {
    serde_json::from_slice(&raw.body).map_err(|error| format!("the answer is not what was asked for: {error}"))
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
