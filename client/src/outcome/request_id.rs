//! An id for each attempt, sent as `X-Request-Id`, which a node returns: so an answer that belongs to another attempt (from a
//! cache, or a second one on the same connection) is recognised.
//!
//! A proxy may replace the id. So only an id that this library made proves anything.

#[cfg(not(feature = "simulation"))]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::HeaderValue;

use etebar_api::REQUEST_ID;

use crate::RawAnswer;

/// What every id of this library begins with.
const PREFIX: &str = "etb-";

/// An id that no other attempt has, in this process or another.
pub(crate) fn generate() -> HeaderValue {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("{PREFIX}{:016x}-{}", process(), COUNT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::try_from(id).expect("digits and dashes stand in a header")
}

/// Whether the answer certainly belongs to another attempt than the one with this id.
pub(crate) fn is_for_another_attempt(answer: &RawAnswer, id: &HeaderValue) -> bool {
    let returned = answer.headers.get(REQUEST_ID);
    returned.is_some_and(|returned| returned != id && returned.as_bytes().starts_with(PREFIX.as_bytes()))
}

/// Distinguishes this process from others. Where the system offers no random bits, only attempts of one process differ.
#[cfg(not(feature = "simulation"))]
fn process() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(|| getrandom::u64().unwrap_or(0))
}

/// The simulation is one process, and must repeat itself.
#[cfg(feature = "simulation")]
fn process() -> u64 {
    0
}
