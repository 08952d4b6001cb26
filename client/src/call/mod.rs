//! A call: a request that may be sent any number of times, and what repeating it may do.
//!
//! [`idempotency`] is the key that it is sent under, [`query`] its path, [`answer`] what comes back.

pub(crate) mod answer;
pub(crate) mod idempotency;
pub(crate) mod query;

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;

use etebar_api as api;

use self::idempotency::IdempotencyKey;

/// What repeating a call may do. Every call of this client may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing moves.
    Read,
    /// Something moves, and repeating it moves nothing more, whenever it is sent.
    Write,
    /// Something moves, once, for as long as the cluster remembers the idempotency keys that it carries.
    Keyed,
}

/// A request, ready to be sent any number of times with the same bytes.
#[derive(Debug, Clone)]
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// JSON; `None` sends no body.
    pub body: Option<Bytes>,
    /// Headers beside those that every request has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What repeating it may do.
    pub effect: Effect,
    /// The idempotency key in its header; `None` where there is none, also where keys are in its body.
    pub key: Option<IdempotencyKey>,
    /// Longest wait for the first attempt's answer; each further one may take twice as long, up to 12 s.
    pub attempt_timeout: Duration,
}

/// First wait for an answer. Source: several elections; where a node takes longer, another one is tried.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for one answer. Source: a node's own limit of 10 s for a request, and two seconds for the network.
pub(crate) const ATTEMPT_TIMEOUT_MAX: Duration = Duration::from_secs(12);

impl Call {
    /// `GET` of this path and query.
    pub fn get(path: impl Into<String>) -> Call {
        Call::new(Method::GET, path.into(), Effect::Read)
    }

    /// `POST` to this path, harmless to repeat unless a key says otherwise.
    pub fn post(path: impl Into<String>) -> Call {
        Call::new(Method::POST, path.into(), Effect::Write)
    }

    /// `DELETE` of this path, harmless to repeat.
    pub fn delete(path: impl Into<String>) -> Call {
        Call::new(Method::DELETE, path.into(), Effect::Write)
    }

    fn new(method: Method, path: String, effect: Effect) -> Call {
        Call { method, path, body: None, headers: Vec::new(), effect, key: None, attempt_timeout: ATTEMPT_TIMEOUT }
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
        self.keyed_in_body()
    }

    /// With idempotency keys in its body.
    #[must_use]
    pub fn keyed_in_body(mut self) -> Call {
        self.effect = Effect::Keyed;
        self
    }

    /// Allows its first attempt the longest wait: for an audit, or a large batch.
    #[must_use]
    pub fn slow(mut self) -> Call {
        self.attempt_timeout = ATTEMPT_TIMEOUT_MAX;
        self
    }
}
