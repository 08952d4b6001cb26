//! How many commands a second each API key may send to this node: a token bucket a key, which holds one second's worth.
//!
//! A bucket is one moment: when it will be full again. Each command moves that moment by its share of a second. What is
//! larger than the bucket passes where it is full, and leaves a debt: so no batch is refused permanently, and over time no
//! key has more than its rate. Time is monotonic and this node's own; ledger time and the other nodes have no part in it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, header};
use axum::response::IntoResponse;
use etebar_api::Code;
use ledger::KeyNumber;
use tokio::time::Instant;

use crate::http::response::problem::{Answer, Problem};

/// What a bucket holds, in the time that it takes to fill.
const SECOND: Duration = Duration::from_secs(1);
/// Buckets below which nobody looks for full ones to drop.
const SWEEP_MIN: usize = 1_024;
/// What is left now. Source: draft-ietf-httpapi-ratelimit-headers.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What a key may have. Source: the same.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The rates of all keys; see the head of this file.
#[derive(Debug)]
pub struct Rates {
    policy: Option<Policy>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Policy {
    per_second: NonZeroU32,
    shown: HeaderValue,
}

/// When the bucket of each key is full again. Full ones are absent, or dropped when so many came since the last time.
#[derive(Debug)]
struct Buckets {
    full_at: HashMap<KeyNumber, Instant>,
    sweep_at: usize,
}

/// What a key has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    commands: u32,
    /// Until it has all again.
    full_in: Duration,
}

/// The commands do not fit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    left: Left,
    /// They will after this time.
    wait: Duration,
}

impl Rates {
    /// At most so many commands a second for each key; without a bound where that is `None`.
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        let policy = per_second.map(|per_second| Policy {
            per_second,
            shown: header_value(format!("\"default\";q={per_second};w={}", SECOND.as_secs())),
        });
        Self { policy, buckets: Mutex::new(Buckets { full_at: HashMap::new(), sweep_at: SWEEP_MIN }) }
    }

    /// Does `work`, which sends `count` commands, where the key's rate allows it; otherwise it is not begun. Every answer
    /// says what is left.
    pub async fn metered(&self, key: KeyNumber, count: usize, work: impl Future<Output = Answer>) -> Answer {
        let Some(policy) = &self.policy else { return work.await };
        let (left, mut response) = match self.spend(policy.per_second, key, count, Instant::now()) {
            Ok(left) => (left, work.await.unwrap_or_else(Problem::into_response)),
            Err(refused) => (refused.left, too_many(policy.per_second, refused.wait)),
        };
        let shown = format!("\"default\";r={};t={}", left.commands, whole_seconds(left.full_in));
        response.headers_mut().insert(RATE_LIMIT, header_value(shown));
        response.headers_mut().insert(RATE_LIMIT_POLICY, policy.shown.clone());
        Ok(response)
    }

    fn spend(&self, per_second: NonZeroU32, key: KeyNumber, count: usize, now: Instant) -> Result<Left, Refused> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = buckets.full_at.get(&key).map_or(Duration::ZERO, |full_at| full_at.saturating_duration_since(now));
        let cost = time_of(per_second, count);
        let most = SECOND.saturating_sub(cost);
        if owed > most {
            return Err(Refused { left: Left::of(per_second, owed), wait: owed - most });
        }
        buckets.put(key, now + owed + cost, now);
        Ok(Left::of(per_second, owed + cost))
    }
}

impl Buckets {
    fn put(&mut self, key: KeyNumber, full_at: Instant, now: Instant) {
        self.full_at.insert(key, full_at);
        if self.full_at.len() >= self.sweep_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.sweep_at = SWEEP_MIN.max(2 * self.full_at.len());
        }
    }
}

impl Left {
    /// What is left in a bucket that takes this long to be full.
    fn of(per_second: NonZeroU32, full_in: Duration) -> Self {
        let free = SECOND.saturating_sub(full_in).as_nanos() * u128::from(per_second.get()) / SECOND.as_nanos();
        Self { commands: u32::try_from(free).unwrap_or(u32::MAX), full_in }
    }
}

/// The time in which a bucket regains `count` commands.
fn time_of(per_second: NonZeroU32, count: usize) -> Duration {
    let nanos = (count as u64).saturating_mul(1_000_000_000) / u64::from(per_second.get());
    Duration::from_nanos(nanos)
}

fn too_many(per_second: NonZeroU32, wait: Duration) -> Response<Body> {
    let seconds = whole_seconds(wait).max(1);
    let detail = format!(
        "this key may send {per_second} commands a second to this node; nothing was done, these fit in {seconds} s"
    );
    let mut response = Problem::new(Code::RateLimited, detail).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// As many whole seconds as cover `time`.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and visible ASCII are a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyNumber = 7;

    fn rate(per_second: u32) -> (NonZeroU32, Rates) {
        let per_second = NonZeroU32::new(per_second).unwrap();
        (per_second, Rates::new(Some(per_second)))
    }

    #[test]
    fn a_second_s_worth_passes_at_once_and_then_one_after_the_other() {
        for per_second in [1, 3, 7, 100, 999_983] {
            let (rate, rates) = rate(per_second);
            let now = Instant::now();
            for left in (0..per_second.min(1_000)).rev() {
                let expected = left + per_second - per_second.min(1_000);
                assert_eq!(rates.spend(rate, KEY, 1, now).map(|left| left.commands), Ok(expected), "{per_second}/s");
            }
            if per_second > 1_000 {
                continue;
            }
            let Err(refused) = rates.spend(rate, KEY, 1, now) else { panic!("{per_second}/s: one too many") };
            assert!(refused.wait <= time_of(rate, 1) + Duration::from_micros(1), "{per_second}/s: {refused:?}");
            assert!(
                rates.spend(rate, KEY, 1, now + refused.wait).is_ok(),
                "it passes after the wait that it was given"
            );
        }
    }

    #[test]
    fn a_batch_larger_than_the_rate_passes_where_the_bucket_is_full_and_is_paid_back() {
        let (rate, rates) = rate(100);
        let now = Instant::now();
        assert_eq!(rates.spend(rate, KEY, 8_000, now).map(|left| left.commands), Ok(0));
        let Err(refused) = rates.spend(rate, KEY, 1, now) else { panic!("a debt") };
        assert_eq!(refused.wait, Duration::from_millis(79_010));
        assert!(rates.spend(rate, KEY, 1, now + Duration::from_millis(79_000)).is_err());
        assert!(rates.spend(rate, KEY, 1, now + Duration::from_millis(79_010)).is_ok());
        let Err(refused) = rates.spend(rate, KEY, 8_000, now + Duration::from_millis(79_010)) else {
            panic!("not full")
        };
        assert_eq!(refused.wait, SECOND, "a batch that is larger than the bucket waits until it is full");
    }

    #[test]
    fn over_any_time_a_key_has_its_rate_and_one_second_s_worth_at_most() {
        let (rate, rates) = rate(50);
        let begin = Instant::now();
        let mut number = numbers(11);
        let (mut passed, mut now) = (0, begin);
        for _ in 0..20_000 {
            now += Duration::from_millis(number() % 20);
            let count = 1 + (number() % 60) as usize;
            if rates.spend(rate, KEY, count, now).is_ok() {
                passed += count as u64;
            }
            let bound = 50.0 * (now - begin).as_secs_f64() + 50.0 + 60.0;
            assert!(passed as f64 <= bound, "{passed} commands in {:?}", now - begin);
        }
        assert!(passed as f64 >= 0.9 * 50.0 * (now - begin).as_secs_f64(), "the rate can be used: {passed}");
    }

    /// A xorshift generator: the same numbers in each run.
    fn numbers(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    #[test]
    fn keys_have_buckets_of_their_own_and_full_ones_are_dropped() {
        let (rate, rates) = rate(10);
        let begin = Instant::now();
        for key in 0..100_000 {
            let now = begin + Duration::from_millis(key);
            assert!(rates.spend(rate, key, 1, now).is_ok());
        }
        let held = rates.buckets.lock().unwrap().full_at.len();
        assert!(held <= 2 * SWEEP_MIN, "{held} buckets for about 100 that are not full");
    }

    #[tokio::test]
    async fn what_is_refused_is_not_begun_and_says_when_to_come_again() {
        let (_, rates) = rate(2);
        let done = || async { Ok(Response::new(Body::empty())) };
        let answer = rates.metered(KEY, 2, done()).await.unwrap();
        assert_eq!(answer.headers()["ratelimit-policy"], "\"default\";q=2;w=1");
        assert_eq!(answer.headers()["ratelimit"], "\"default\";r=0;t=1");
        let refused = rates.metered(KEY, 1, async { panic!("begun") }).await.unwrap();
        assert_eq!((refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]), (429, &HeaderValue::from(1)));
        let other = rates.metered(KEY + 1, 1, async { Err(Problem::not_found()) }).await.unwrap();
        assert_eq!(other.status(), 404, "another key, whose refusals show what is left too");
        assert_eq!(other.headers()["ratelimit"], "\"default\";r=1;t=1");
        let unbounded = Rates::new(None).metered(KEY, 1_000_000, done()).await.unwrap();
        assert!(!unbounded.headers().contains_key("ratelimit"));
    }
}
