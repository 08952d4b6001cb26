//! A name for each attempt, sent as `X-Request-Id`, which a node gives back: so an answer that belongs to another attempt
//! (out of a cache, or a second one on the same connection) is known as such.
//!
//! A proxy may put a name of its own in its place. So only a name that some client of ours made proves anything.

#[cfg(not(feature = "simulation"))]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::HeaderValue;

use etebar_api::REQUEST_ID;

use super::super::RawAnswer;

/// What every name of ours begins with.
const OURS: &str = "etb-";

/// A name that no other attempt has, in this process or another.
pub(in super::super) fn draw() -> HeaderValue {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("{OURS}{:016x}-{}", process(), COUNT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::try_from(name).expect("digits and dashes stand in a header")
}

/// Whether the answer is certainly another attempt's than that of this name.
pub(in super::super) fn is_anothers(answer: &RawAnswer, name: &HeaderValue) -> bool {
    let named = answer.headers.get(REQUEST_ID);
    named.is_some_and(|named| named != name && named.as_bytes().starts_with(OURS.as_bytes()))
}

/// Tells this process from others. Where the system has no chance to offer, its attempts are still told from each other.
#[cfg(not(feature = "simulation"))]
fn process() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(|| getrandom::u64().unwrap_or(0))
}

/// The simulation is one process, and repeats itself.
#[cfg(feature = "simulation")]
fn process() -> u64 {
    0
}
