//! One call: attempts on all servers until an answer settles it or its time is up.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use etebar_api as api;
use etebar_api::{Code, Problem};

use super::answer::{Answer, Failure, RawAnswer};
use super::backoff;
use super::call::{Call, Effect, PATIENCE, PATIENCE_MAX};
use super::certainty::{Course, Heard, Meaning, Stopwatch, Wish, meaning, wished};
use super::client::Client;
use super::error::Error;

/// What the key window is taken for where nobody has told it. Source: a cluster with a shorter one cannot be made.
const WINDOW_MIN: Duration = Duration::from_secs(1);

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
    ) -> Result<Meaning<Answer<T>>, Failure> {
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
        let mut course = Course::new(self.timeout);
        let (first, servers) = (self.current.load(Ordering::Relaxed), self.servers.len());
        loop {
            let turn = first.wrapping_add(course.turns as usize);
            course.turns += 1;
            let mut pause = backoff::pause(course.turns, servers);
            match course.limited.next(turn, servers, Instant::now()) {
                Ok(index) => match self.may_send(call, index, &mut course).await {
                    MaySend::For(time) => match self.attempt_within(time, call, index, &mut course, &read).await {
                        ControlFlow::Break(ended) => return ended,
                        ControlFlow::Continue(wish) => pause = pause.max(wish),
                    },
                    MaySend::NotYet => {}
                    MaySend::Never => return Err(course.out_of_time(call)),
                },
                Err(wait) => pause = pause.max(wait),
            }
            // Each of them in its turn: no time makes another certificate of it.
            if course.untrusted >= servers || pause >= course.left() {
                return Err(course.out_of_time(call));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether `call` may be sent (again). What may have been done is repeated only while its key is surely remembered: for
    /// half of the key window, which is learned here where it is not known.
    async fn may_send(&self, call: &Call, index: usize, course: &mut Course) -> MaySend {
        let (Effect::Keyed, Some(since)) = (call.effect, course.may_be_done_since) else {
            return MaySend::For(course.left());
        };
        let window = match self.learn_key_window(index, PATIENCE.min(course.left())).await {
            Learned::Window(window) => window,
            Learned::Refused(problem) => {
                course.hear(problem.into());
                return MaySend::Never;
            }
            Learned::NotNow(why) => {
                let left = course.left().min(since.left_of(WINDOW_MIN / 2));
                if !left.is_zero() {
                    return MaySend::For(left);
                }
                course.not_repeated = Some(format!("how long keys are remembered could not be learned: {why}"));
                return MaySend::NotYet;
            }
        };
        course.key_window = Some(window);
        let left = course.left();
        if left.is_zero() { MaySend::Never } else { MaySend::For(left) }
    }

    /// How long the cluster remembers keys; server `index` is asked, once, where it is not known.
    async fn learn_key_window(&self, index: usize, patience: Duration) -> Learned {
        if let Some(window) = self.key_window() {
            return Learned::Window(window);
        }
        let call = Call::get("/v1/cluster");
        let answer = match self.attempt(index, &call, patience).await {
            Ok(answer) => answer,
            Err(failure) => return Learned::NotNow(failure.to_string()),
        };
        let read = |answer: &RawAnswer| {
            let status = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
            self.key_window.learn(&status).ok_or_else(|| "the cluster does not say".to_owned())
        };
        match meaning(&call, &answer, read) {
            Meaning::Done(window) => Learned::Window(window),
            Meaning::Refused(problem) if problem.code == Code::Unauthenticated => Learned::Refused(problem),
            Meaning::Refused(problem) => Learned::NotNow(Heard::from(problem).detail),
            Meaning::NotYet(heard) | Meaning::Unknown(heard) => Learned::NotNow(heard.detail),
        }
    }

    /// One attempt, which ends within this time. Breaks with the call's end, or goes on with how long the server asks to wait.
    async fn attempt_within<T>(
        &self,
        time: Duration,
        call: &Call,
        index: usize,
        course: &mut Course,
        read: impl Fn(&RawAnswer) -> Result<T, String>,
    ) -> ControlFlow<Result<(Answer<T>, RawAnswer), Error>, Duration> {
        let started = Stopwatch::start();
        let patience = call.patience.saturating_mul(1 << course.attempts.min(4)).min(PATIENCE_MAX).min(time);
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
                match wish {
                    Wish::Wait(wait) => ControlFlow::Continue(wait),
                    Wish::Spare(wait) => {
                        course.limited.until(index, Instant::now() + wait);
                        ControlFlow::Continue(Duration::ZERO)
                    }
                }
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

/// What came of asking for it.
enum Learned {
    Window(Duration),
    /// The API key is good for nothing any more.
    Refused(Box<Problem>),
    /// Not now, for this reason.
    NotNow(String),
}

enum MaySend {
    /// Now, for so long.
    For(Duration),
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

#[cfg(not(feature = "simulation"))]
#[cfg(test)]
mod tests {
    use super::super::idempotency::IdempotencyKey;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Whether a charge may be repeated whose first attempt was before the machine slept for so long.
    async fn after(slept: Duration, client: &Client) -> MaySend {
        let call = Call::post("/v1/charges").keyed(&IdempotencyKey::parse("k").unwrap());
        let mut course = Course::new(100 * MINUTE);
        course.may_be_done_since = Some(Stopwatch::slept_through(slept));
        client.may_send(&call, 0, &mut course).await
    }

    #[tokio::test]
    async fn a_machine_that_slept_does_not_repeat_a_key_past_half_of_its_window() {
        let client = Client::new(["http://127.0.0.1:1"]).unwrap();
        // Nobody says how long keys are remembered.
        assert!(matches!(after(Duration::ZERO, &client).await, MaySend::For(_)));
        assert!(matches!(after(MINUTE, &client).await, MaySend::NotYet));
        let status = r#"{"leader":1,"term":1,"applied":9,"version":"0","members":[],"key_window_seconds":3600}"#;
        client.key_window.learn(&serde_json::from_str(status).unwrap()).unwrap();
        assert!(matches!(after(29 * MINUTE, &client).await, MaySend::For(left) if left <= MINUTE));
        assert!(matches!(after(31 * MINUTE, &client).await, MaySend::Never));
    }
}
