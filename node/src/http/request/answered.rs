//! The log's line of each answered request: what was asked, with which key, and how it ended.
//!
//! At `debug`; at `info` for what an administrator changes; at `warn` for a 5xx, one a minute of each status. Nothing in it is
//! a secret, a phone number or an id: of the path it has the pattern that matched.

use std::cell::{Cell, OnceCell};
use std::future::Future;

use axum::extract::MatchedPath;
use axum::http::{Extensions, Method, StatusCode};
use ledger::ApiKeyNumber;
use tokio::time::Instant;
use tracing::{debug, enabled, info, warn};

use crate::http::app::App;

/// Writes of sellers, whose rate is that of their sales.
const OF_SELLERS: [&str; 3] = ["/v1/charges", "/v1/charges/batch", "/v1/credit-requests"];

tokio::task_local! {
    static REQUEST: AnsweredRequest;
}

/// What is known of the request that this task answers.
pub(crate) struct AnsweredRequest {
    begun: Instant,
    method: Method,
    route: OnceCell<MatchedPath>,
    key: Cell<Option<ApiKeyNumber>>,
}

impl AnsweredRequest {
    /// A request of this method that begins now.
    pub(crate) fn begin(method: Method) -> Self {
        Self { begun: Instant::now(), method, route: OnceCell::new(), key: Cell::new(None) }
    }

    /// Lets `answering` say what it learns of it, and log it.
    pub(crate) fn scope<F: Future>(self, answering: F) -> impl Future<Output = F::Output> {
        REQUEST.scope(self, answering)
    }

    /// It is one of this path.
    pub(crate) fn has_route(extensions: &Extensions) {
        // A handler that is called by itself, in a test, has none; nor has a path that no pattern matched.
        let Some(route) = extensions.get::<MatchedPath>() else { return };
        let _ = REQUEST.try_with(|request| drop(request.route.set(route.clone())));
    }

    /// It came with this API key.
    pub(crate) fn has_key(key: ApiKeyNumber) {
        let _ = REQUEST.try_with(|request| request.key.set(Some(key)));
    }

    /// It is answered with this status.
    pub(crate) fn is_answered(app: &App, status: StatusCode) {
        let _ = REQUEST.try_with(|request| request.log(app, status));
    }

    fn log(&self, app: &App, status: StatusCode) {
        let is_fault = status.is_server_error() && app.faults.is_due(kind(status));
        let is_change = self.is_change_by_admin(status);
        if !is_fault && !is_change && !enabled!(tracing::Level::DEBUG) {
            return;
        }
        let duration_ms = self.begun.elapsed().as_micros() as f64 / 1_000.0;
        let (method, status) = (self.method.as_str(), status.as_u16());
        let (route, key) = (self.route.get().map(MatchedPath::as_str), self.key.get());
        let ring = app.cluster.api_keys();
        let key_name = key.and_then(|number| ring.by_number(number)).map(|key| key.name.as_str());
        if is_fault {
            warn!(
                method,
                route,
                status,
                duration_ms,
                key,
                key_name,
                "request failed; others of this status are not logged for a minute"
            );
        } else if is_change {
            info!(method, route, status, duration_ms, key, key_name, "request answered");
        } else {
            debug!(method, route, status, duration_ms, key, key_name, "request answered");
        }
    }

    /// Whether it is a write, with a key that may do it, which no seller makes.
    fn is_change_by_admin(&self, status: StatusCode) -> bool {
        let is_allowed =
            self.key.get().is_some() && status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN;
        let route = self.route.get().map(MatchedPath::as_str);
        !self.method.is_safe() && is_allowed && route.is_some_and(|route| !OF_SELLERS.contains(&route))
    }
}

/// Faults of one kind are logged once a minute.
fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        500 => "500",
        503 => "503",
        504 => "504",
        507 => "507",
        _ => "5xx",
    }
}
