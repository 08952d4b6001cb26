//! What is asked: a request that may be sent any number of times, and what repeating it may do.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;

use etebar_api as api;

use super::idempotency::IdempotencyKey;

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
    /// Longest wait of the first attempt; each further one may wait twice as long, up to `PATIENCE_MAX`.
    pub patience: Duration,
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
