//! How many commands a second each API key may send to this node: a token bucket a key, which holds one second's worth.
//!
//! A bucket is one instant: when it will be full again. Each command moves it by its share of a second. A request passes
//! where one command fits, whatever it costs; the rest is a debt, which later requests wait for. So a batch of any size
//! passes, and over time no key exceeds its rate.
//!
//! Decisions are what costs: a replay costs a tenth, and a request without a decision costs nothing. Two rules keep a
//! runaway program from blocking its own key. A refused batch has one command reserved for it until it may be sent again,
//! which single commands do not take. And a request all of which is decided already passes once a second in any debt, so
//! that an outcome can always be learned. Time is monotonic and this node's own; it depends on neither ledger
//! time nor the other nodes.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, header};
use axum::response::IntoResponse;
use etebar_api::Code;
use ledger::ApiKeyNumber;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::http::response::problem::{Answer, Problem};
use crate::raft::Decided;

/// What a bucket holds, in the time that it takes to fill.
const SECOND: Duration = Duration::from_secs(1);
/// A replay costs one part in so many of a command. Source: it takes its place in the log as a command does, and a caller
/// that asks again, ten times as fast as it may charge, shall still have most of its rate for charges.
const REPLAYS_A_COMMAND: u32 = 10;
/// Fewest buckets at which full ones are looked for and dropped.
const SWEEP_MIN: usize = 1_024;
/// What is left now. Source: draft-ietf-httpapi-ratelimit-headers.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What a key may have. Source: the same.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The rates of all keys; see the head of this file.
#[derive(Debug)]
pub struct Rates {
    policy: Policy,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Policy {
    per_second: NonZeroU32,
    shown: HeaderValue,
}

/// The bucket of each key. Full ones are absent, or dropped when so many came since the last time.
#[derive(Debug)]
struct Buckets {
    of: HashMap<ApiKeyNumber, Bucket>,
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: Instant,
    /// Until then one command is reserved for a batch that was refused.
    reserved_until: Instant,
    /// From then on a request all of which is decided already passes in any debt.
    ask_from: Instant,
}

/// What one key may send.
#[derive(Debug)]
pub struct Meter<'a> {
    policy: &'a Policy,
    buckets: &'a Mutex<Buckets>,
    key: ApiKeyNumber,
}

/// What a request took before its cost was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The whole cost of its commands, in the time that the bucket regains it in.
    Commands(Duration),
    /// Nothing: all of it is decided already.
    Asked,
}

/// What a key has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    commands: u32,
    /// Until it has all again.
    full_in: Duration,
}

impl Rates {
    /// At most so many commands a second for each key.
    pub fn new(per_second: NonZeroU32) -> Self {
        let shown = header_value(format!("\"default\";q={per_second};w={}", SECOND.as_secs()));
        let policy = Policy { per_second, shown };
        Self { policy, buckets: Mutex::new(Buckets { of: HashMap::new(), sweep_at: SWEEP_MIN }) }
    }

    /// What this key may send.
    pub fn meter(&self, key: ApiKeyNumber) -> Meter<'_> {
        Meter { policy: &self.policy, buckets: &self.buckets, key }
    }
}

impl Meter<'_> {
    /// Takes the cost of `count` commands, where the key's rate allows them. `is_decided` says whether all of them are
    /// decided already, and is asked only where it does not.
    ///
    /// # Errors
    /// The time after which the request passes; until then nothing of it is done.
    pub fn take(&self, count: usize, is_decided: impl FnOnce() -> bool) -> Result<Reserved, Duration> {
        self.take_at(count, is_decided, Instant::now())
    }

    /// The answer to a request that passes after this time.
    pub fn refused(&self, wait: Duration) -> Response<Body> {
        self.shown(Ok(too_many(self.policy.per_second, wait)))
    }

    /// Replaces what was taken by what the decisions cost; none were brought where there are none.
    pub fn settle(&self, taken: Reserved, decided: &[Decided]) {
        self.settle_at(taken, decided, Instant::now());
    }

    /// The answer, with what is left now.
    pub fn shown(&self, answer: Answer) -> Response<Body> {
        let mut response = answer.unwrap_or_else(Problem::into_response);
        let left = self.left(Instant::now());
        let shown = format!("\"default\";r={};t={}", left.commands, whole_seconds(left.full_in));
        response.headers_mut().insert(RATE_LIMIT, header_value(shown));
        response.headers_mut().insert(RATE_LIMIT_POLICY, self.policy.shown.clone());
        response
    }

    /// The error is the time after which it passes.
    fn take_at(&self, count: usize, is_decided: impl FnOnce() -> bool, now: Instant) -> Result<Reserved, Duration> {
        let wait = match self.pass(count, now) {
            Ok(cost) => return Ok(Reserved::Commands(cost)),
            Err(wait) => wait,
        };
        // Not under the lock: looking up what is decided takes a while.
        if is_decided() {
            return self.ask(now).map(|()| Reserved::Asked).map_err(|until_next| until_next.min(wait));
        }
        if count > 1 {
            let mut buckets = self.lock();
            let mut bucket = buckets.get(self.key, now);
            bucket.reserved_until = now + Duration::from_secs(retry_after(wait)) + SECOND;
            buckets.put(self.key, bucket, now);
        }
        Err(wait)
    }

    fn pass(&self, count: usize, now: Instant) -> Result<Duration, Duration> {
        let mut buckets = self.lock();
        let mut bucket = buckets.get(self.key, now);
        let owed = bucket.full_at.saturating_duration_since(now);
        let (is_batch, is_reserved) = (count > 1, bucket.is_reserved(now));
        // The first of them must fit, and leave what is reserved for a batch.
        let needed = if is_reserved && !is_batch { 2 } else { 1 };
        match SECOND.checked_sub(self.time_of(needed)) {
            Some(most) if owed <= most => {}
            Some(most) => return Err(owed.saturating_sub(most)),
            None => return Err(bucket.reserved_until.saturating_duration_since(now)),
        }
        let cost = self.time_of(count);
        bucket.full_at = now + owed + cost;
        if is_batch {
            bucket.reserved_until = now;
        }
        buckets.put(self.key, bucket, now);
        Ok(cost)
    }

    /// Lets a request pass that costs nothing; the error is the time until the next one may.
    fn ask(&self, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.lock();
        let mut bucket = buckets.get(self.key, now);
        if bucket.ask_from > now {
            return Err(bucket.ask_from - now);
        }
        bucket.ask_from = now + SECOND;
        buckets.put(self.key, bucket, now);
        Ok(())
    }

    fn settle_at(&self, taken: Reserved, decided: &[Decided], now: Instant) {
        let replays = decided.iter().filter(|decided| is_replay(decided)).count();
        let new = self.time_of(decided.len() - replays);
        let (taken, cost) = match taken {
            Reserved::Commands(taken) => (taken, new + self.time_of(replays) / REPLAYS_A_COMMAND),
            Reserved::Asked => (Duration::ZERO, new),
        };
        if taken == cost {
            return;
        }
        let mut buckets = self.lock();
        let mut bucket = buckets.get(self.key, now);
        let owed = bucket.full_at.saturating_duration_since(now) + cost;
        bucket.full_at = now + owed.saturating_sub(taken);
        buckets.put(self.key, bucket, now);
    }

    fn left(&self, now: Instant) -> Left {
        let bucket = self.lock().get(self.key, now);
        let full_in = bucket.full_at.saturating_duration_since(now);
        let per_second = u128::from(self.policy.per_second.get());
        let free = SECOND.saturating_sub(full_in).as_nanos() * per_second / SECOND.as_nanos();
        let free = free.saturating_sub(u128::from(bucket.is_reserved(now)));
        Left { commands: u32::try_from(free).unwrap_or(u32::MAX), full_in }
    }

    /// The time in which the bucket regains `count` commands.
    fn time_of(&self, count: usize) -> Duration {
        let nanos = (count as u64).saturating_mul(1_000_000_000) / u64::from(self.policy.per_second.get());
        Duration::from_nanos(nanos)
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock()
    }
}

impl Buckets {
    /// The bucket of a key, or a full one.
    fn get(&self, key: ApiKeyNumber, now: Instant) -> Bucket {
        self.of.get(&key).copied().unwrap_or(Bucket { full_at: now, reserved_until: now, ask_from: now })
    }

    fn put(&mut self, key: ApiKeyNumber, bucket: Bucket, now: Instant) {
        self.of.insert(key, bucket);
        if self.of.len() >= self.sweep_at {
            self.of.retain(|_, bucket| bucket.full_at > now || bucket.is_reserved(now));
            self.sweep_at = SWEEP_MIN.max(2 * self.of.len());
        }
    }
}

impl Bucket {
    fn is_reserved(&self, now: Instant) -> bool {
        self.reserved_until > now
    }
}

fn is_replay(decided: &Decided) -> bool {
    match decided {
        Decided::Recorded { replayed, .. } => *replayed,
        Decided::NotRecorded(_) => false,
    }
}

fn too_many(per_second: NonZeroU32, wait: Duration) -> Response<Body> {
    let seconds = retry_after(wait);
    let detail = format!(
        "this key may send {per_second} commands a second to this node; nothing was done, these fit in {seconds} s"
    );
    let mut response = Problem::new(Code::RateLimited, detail).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// `Retry-After` for a wait, in seconds.
fn retry_after(wait: Duration) -> u64 {
    whole_seconds(wait).max(1)
}

/// As many whole seconds as cover `time`.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and visible ASCII are a header's value")
}

#[cfg(test)]
mod tests;
