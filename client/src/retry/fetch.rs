//! One call: attempts on all servers until an answer settles it or its time-out ends.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use etebar_api as api;
use etebar_api::{Code, Problem};

use super::backoff;
use crate::call::answer::{Answer, Failure, RawAnswer};
use crate::call::{ATTEMPT_TIMEOUT, ATTEMPT_TIMEOUT_MAX, Call, Effect};
use crate::client::Client;
use crate::error::Error;
use crate::outcome::call_state::CallState;
use crate::outcome::meaning::{Meaning, Reason, RetryAfter, meaning, retry_after};
use crate::outcome::stopwatch::Stopwatch;

/// Key window that is assumed while no node has reported it. Source: no cluster can be made with a shorter one.
const WINDOW_MIN: Duration = Duration::from_secs(1);

impl Client {
    /// Sends `call` and reads its answer as `T`.
    pub async fn fetch<T: DeserializeOwned>(&self, call: &Call) -> Result<Answer<T>, Error> {
        self.fetch_matching(call, |_| true).await
    }

    /// The same for an answer that shows what it belongs to: `is_ours` says whether that is this call.
    pub(crate) async fn fetch_matching<T: DeserializeOwned>(
        &self,
        call: &Call,
        is_ours: impl Fn(&T) -> bool,
    ) -> Result<Answer<T>, Error> {
        let read = |raw: &RawAnswer| {
            let value: T = read_json(raw)?;
            if is_ours(&value) { Ok(value) } else { Err("the answer is one to something else".to_owned()) }
        };
        self.send_until_settled(call, read).await.map(|(answer, _)| answer)
    }

    /// Sends `call` and reads its answer as `T`, with the answer as it arrived.
    pub async fn fetch_raw<T: DeserializeOwned>(&self, call: &Call) -> Result<(T, RawAnswer), Error> {
        self.send_until_settled(call, read_json).await.map(|(answer, raw)| (answer.value, raw))
    }

    /// Sends `call` to server `index` alone, once, and reads its answer as `T`; with the node that gave it.
    pub async fn fetch_once<T: DeserializeOwned>(
        &self,
        index: usize,
        call: &Call,
        timeout: Duration,
    ) -> Result<Meaning<Answer<T>>, Failure> {
        let raw = self.attempt(index, call, timeout).await?;
        Ok(meaning(call, &raw, |raw| read_json(raw).map(|value| answer(raw, 1, value))))
    }

    /// Sends `call`, whose answer has no body.
    pub(crate) async fn fetch_nothing(&self, call: &Call) -> Result<Answer<()>, Error> {
        let read = |raw: &RawAnswer| if raw.body.is_empty() { Ok(()) } else { Err("the answer has a body".to_owned()) };
        self.send_until_settled(call, read).await.map(|(answer, _)| answer)
    }

    /// Sends `call` until an answer settles it, over all servers, within the client's time-out.
    async fn send_until_settled<T>(
        &self,
        call: &Call,
        read: impl Fn(&RawAnswer) -> Result<T, String>,
    ) -> Result<(Answer<T>, RawAnswer), Error> {
        let mut state = CallState::new(self.timeout);
        let (first, servers) = (self.current.load(Ordering::Relaxed), self.servers.len());
        loop {
            let turn = first.wrapping_add(state.turns as usize);
            state.turns += 1;
            let mut pause = backoff::pause(state.turns, servers);
            match state.rate_limits.next(turn, servers, Instant::now()) {
                Ok(index) => match self.may_send(call, index, &mut state).await {
                    MaySend::For(time) => match self.attempt_within(time, call, index, &mut state, &read).await {
                        ControlFlow::Break(ended) => return ended,
                        ControlFlow::Continue(wait) => pause = pause.max(wait),
                    },
                    MaySend::NotYet => {}
                    MaySend::Never => return Err(state.out_of_time(call)),
                },
                Err(wait) => pause = pause.max(wait),
            }
            // No server proved its identity, and waiting does not change a certificate.
            if state.untrusted >= servers || pause >= state.left() {
                return Err(state.out_of_time(call));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether `call` may be sent (again). A call that may have been done is repeated only while its key is certainly
    /// remembered: for half of the key window, which is requested here where it is not known.
    async fn may_send(&self, call: &Call, index: usize, state: &mut CallState) -> MaySend {
        let (Effect::Keyed, Some(since)) = (call.effect, state.may_be_done_since) else {
            return MaySend::For(state.left());
        };
        let window = match self.learn_key_window(index, ATTEMPT_TIMEOUT.min(state.left())).await {
            Learned::Window(window) => window,
            Learned::Refused(problem) => {
                state.set_reason(problem.into());
                return MaySend::Never;
            }
            Learned::NotNow(why) => {
                let left = state.left().min(since.left_of(WINDOW_MIN / 2));
                if !left.is_zero() {
                    return MaySend::For(left);
                }
                state.not_repeated = Some(format!("how long keys are remembered could not be learned: {why}"));
                return MaySend::NotYet;
            }
        };
        state.key_window = Some(window);
        let left = state.left();
        if left.is_zero() { MaySend::Never } else { MaySend::For(left) }
    }

    /// How long the cluster remembers keys; server `index` is asked, once, where it is not known.
    async fn learn_key_window(&self, index: usize, timeout: Duration) -> Learned {
        if let Some(window) = self.key_window() {
            return Learned::Window(window);
        }
        let call = Call::get("/v1/cluster");
        let answer = match self.attempt(index, &call, timeout).await {
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
            Meaning::Refused(problem) => Learned::NotNow(Reason::from(problem).detail),
            Meaning::NotYet(reason) | Meaning::Unknown(reason) => Learned::NotNow(reason.detail),
        }
    }

    /// One attempt, which ends within this time. Breaks with the outcome of the call, or continues with how long the server
    /// asks to wait.
    async fn attempt_within<T>(
        &self,
        time: Duration,
        call: &Call,
        index: usize,
        state: &mut CallState,
        read: impl Fn(&RawAnswer) -> Result<T, String>,
    ) -> ControlFlow<Result<(Answer<T>, RawAnswer), Error>, Duration> {
        let started = Stopwatch::start();
        let timeout =
            call.attempt_timeout.saturating_mul(1 << state.attempts.min(4)).min(ATTEMPT_TIMEOUT_MAX).min(time);
        state.attempts += 1;
        let raw = match self.attempt(index, call, timeout).await {
            Ok(raw) => raw,
            Err(failure) => {
                if failure.may_be_done() {
                    state.may_be_done_since.get_or_insert(started);
                }
                state.untrusted = if matches!(failure, Failure::Untrusted(_)) { state.untrusted + 1 } else { 0 };
                // An attempt that the call's end cut short says less than the one before it.
                let cut_short = timeout < call.attempt_timeout && started.elapsed() >= timeout;
                if state.attempts == 1 || !cut_short {
                    state.set_reason(Reason::of(failure.to_string()));
                }
                state.not_repeated = None;
                return ControlFlow::Continue(Duration::ZERO);
            }
        };
        state.untrusted = 0;
        match meaning(call, &raw, read) {
            Meaning::Done(value) => {
                self.current.store(index, Ordering::Relaxed);
                ControlFlow::Break(Ok((answer(&raw, state.attempts, value), raw)))
            }
            Meaning::Refused(problem) => ControlFlow::Break(Err(state.refused(call, problem))),
            Meaning::NotYet(reason) => {
                let wait = retry_after(&raw, &reason);
                state.set_reason(reason);
                match wait {
                    RetryAfter::AnyServer(wait) => ControlFlow::Continue(wait),
                    RetryAfter::ThisServer(wait) => {
                        state.rate_limits.exclude(index, Instant::now() + wait);
                        ControlFlow::Continue(Duration::ZERO)
                    }
                }
            }
            Meaning::Unknown(reason) => {
                state.may_be_done_since.get_or_insert(started);
                state.set_reason(Reason {
                    detail: format!("{}: {}", self.servers[index].authority(), reason.detail),
                    ..reason
                });
                ControlFlow::Continue(Duration::ZERO)
            }
        }
    }
}

/// The result of asking for the key window.
enum Learned {
    Window(Duration),
    /// The API key is not valid any more.
    Refused(Box<Problem>),
    /// Not now, for this reason.
    NotNow(String),
}

/// Whether a call may be sent (again).
enum MaySend {
    /// Now, and its answer may take so long.
    For(Duration),
    /// Not to this server now.
    NotYet,
    /// No more: the call ends.
    Never,
}

fn read_json<T: DeserializeOwned>(raw: &RawAnswer) -> Result<T, String> {
    serde_json::from_slice(&raw.body).map_err(|error| format!("the answer is not the expected one: {error}"))
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
    use super::*;
    use crate::call::idempotency::IdempotencyKey;

    const MINUTE: Duration = Duration::from_mins(1);

    /// Whether a charge may be repeated whose first attempt was before the machine slept for so long.
    async fn after(slept: Duration, client: &Client) -> MaySend {
        let call = Call::post("/v1/charges").keyed(&IdempotencyKey::parse("k").unwrap());
        let mut state = CallState::new(100 * MINUTE);
        state.may_be_done_since = Some(Stopwatch::slept_through(slept));
        client.may_send(&call, 0, &mut state).await
    }

    #[tokio::test]
    async fn a_machine_that_slept_does_not_repeat_a_key_past_half_of_its_window() {
        let client = Client::new(["http://127.0.0.1:1"]).unwrap();
        // No node reports how long keys are remembered.
        assert!(matches!(after(Duration::ZERO, &client).await, MaySend::For(_)));
        assert!(matches!(after(MINUTE, &client).await, MaySend::NotYet));
        let status = r#"{"leader":1,"term":1,"applied":9,"version":"0","members":[],"key_window_seconds":3600}"#;
        client.key_window.learn(&serde_json::from_str(status).unwrap()).unwrap();
        assert!(matches!(after(29 * MINUTE, &client).await, MaySend::For(left) if left <= MINUTE));
        assert!(matches!(after(31 * MINUTE, &client).await, MaySend::Never));
    }
}
