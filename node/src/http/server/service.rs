//! The API as a service: a request's head is checked, it is routed, and every answer gets a request id, the node, the
//! leader and a position. A panic becomes a 500.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use axum::response::IntoResponse;
use etebar_api::{Code, REQUEST_ID};
use futures::FutureExt;
use hyper::body::Incoming;
use tower::Service;
use tracing::debug;

use super::connection::{Shutdown, Stage};
use super::wire::{Inbound, Progress};
use crate::http::app::App;
use crate::http::request::head;
use crate::http::resources::router;
use crate::http::response::problem::Problem;

/// Longest request id that is taken from a caller, in characters. Source: the contract.
const REQUEST_ID_CHARS: usize = 64;

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiService {
    app: App,
    router: Router,
}

impl ApiService {
    /// All of the API over `app`.
    pub(crate) fn new(app: App) -> Self {
        let router = router(app.clone());
        Self { app, router }
    }

    /// Answers a request off a connection. Where its body was not read to the end, the connection ends with the answer.
    pub(crate) async fn answer(
        self,
        request: Request<Incoming>,
        progress: Arc<Progress>,
        shutdown: Arc<Shutdown>,
    ) -> Response<Body> {
        let is_empty = hyper::body::Body::is_end_stream(request.body());
        let request = request.map(|incoming| {
            if is_empty {
                return Body::empty();
            }
            Body::new(Inbound { incoming, progress: Arc::clone(&progress) })
        });
        let mut response = self.respond(request, &shutdown).await;
        if progress.is_unread() || shutdown.stage() > Stage::Serving {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Answers a request that came in plain text to a port that takes TLS alone.
    pub(crate) fn refuse_plain(&self, request: &Request<Incoming>) -> Response<Body> {
        let id = request_id(request.headers()).unwrap_or_else(|| self.app.request_id());
        let detail = "this port takes https alone; a key in this request went over the network in plain text";
        let mut response = Problem::new(Code::InvalidRequest, detail).into_response();
        self.app.sign(response.headers_mut(), id);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }

    async fn respond(mut self, request: Request<Body>, shutdown: &Shutdown) -> Response<Body> {
        let id = request_id(request.headers()).unwrap_or_else(|| self.app.request_id());
        let is_read = request.method().is_safe();
        let invalid = head::check(&request).err();
        let answering = async {
            match invalid {
                Some(problem) => problem.into_response(),
                None => self.router.call(request).await.unwrap_or_else(|never| match never {}),
            }
        };
        let mut answering = pin!(AssertUnwindSafe(answering).catch_unwind());
        // The connection polls this whenever the stage advances, so nothing is registered for each request.
        let answered = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Pending if shutdown.stage() >= Stage::Late => Poll::Ready(None),
            pending_or_ready => pending_or_ready.map(Some),
        });
        let mut response = match answered.await {
            Some(Ok(response)) => response,
            Some(Err(_)) => Problem::internal(format_args!("a handler panicked in request {id:?}")).into_response(),
            None => stopped(is_read).into_response(),
        };
        debug!(request = ?id, status = response.status().as_u16(), "request answered");
        self.app.sign(response.headers_mut(), id);
        response
    }
}

/// The answer to a request that was still in flight at the end of the drain.
fn stopped(is_read: bool) -> Problem {
    if is_read {
        return Problem::new(Code::Behind, "this node is shutting down, ask another");
    }
    Problem::new(Code::OutcomeUnknown, "this node is shutting down; ask another under the same key")
}

/// The caller's own id for the request, where it sent one valid value.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.as_bytes();
    let is_valid = (1..=REQUEST_ID_CHARS).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
    is_valid.then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use etebar_api::NODE;

    use super::*;

    #[test]
    fn a_panic_is_a_signed_500_that_calls_nothing_certain() {
        crate::fuzzing::at_the_member(async |server| {
            let panics = async || -> Response<Body> { panic!("a defect of a handler, for a test") };
            let front = ApiService { app: server.app(), router: Router::new().route("/", post(panics)) };
            let request = Request::post("/").header(header::HOST, "kit").body(Body::empty()).unwrap();
            let response = front.respond(request, &Shutdown::default()).await;
            assert_eq!((response.status().as_u16(), &response.headers()[NODE]), (500, &HeaderValue::from_static("1")));
            let body = axum::body::to_bytes(response.into_body(), 4_096).await.unwrap();
            let problem: etebar_api::Problem = serde_json::from_slice(&body).unwrap();
            assert_eq!((problem.code, problem.status), (Code::Internal, 500));
            assert!(problem.detail.contains("not known"), "{}", problem.detail);
        });
    }
}
