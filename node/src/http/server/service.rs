//! The API as a service: a request's head is checked, it is routed, and every answer gets a request id, the node, the
//! leader and a position. A panic becomes a 500.
//!
//! The rules for a head hold for every resource (RFC 9110, RFC 9112): one `Host`, and no second value of a field that has
//! one. Two parties that read the same head differently, such as a proxy and a node, is how requests are smuggled. hyper has
//! refused before what cannot be framed at all: a malformed request line, two lengths that differ, a transfer coding without
//! chunks.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, header};
use axum::response::IntoResponse;
use etebar_api::{Code, MIN_APPLIED, REQUEST_ID, TRACEPARENT};
use futures::FutureExt;
use hyper::body::Incoming;
use tower::Service;

use super::authority::is_authority;
use super::connection::{Shutdown, Stage};
use super::wire::{Inbound, RequestProgress};
use crate::http::app::App;
use crate::http::request::answered::AnsweredRequest;
use crate::http::resources::router;
use crate::http::response::problem::Problem;
use crate::runtime::log::context::LogContext;
use crate::runtime::log::trace_context::TraceContext;

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
        progress: Arc<RequestProgress>,
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

    /// What is logged meanwhile says the request's id, and its caller's trace.
    async fn respond(self, request: Request<Body>, shutdown: &Shutdown) -> Response<Body> {
        let id = request_id(request.headers()).unwrap_or_else(|| self.app.request_id());
        let trace = TraceContext::parse(request.headers().get_all(TRACEPARENT).iter().map(HeaderValue::as_bytes));
        let context = LogContext::of_request(id.to_str().unwrap_or_default(), trace);
        let line = AnsweredRequest::begin(request.method().clone());
        context.scope(line.scope(self.respond_as(id, request, shutdown))).await
    }

    async fn respond_as(mut self, id: HeaderValue, request: Request<Body>, shutdown: &Shutdown) -> Response<Body> {
        let is_read = request.method().is_safe();
        let invalid = check(&request).err();
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
            Some(Err(_)) => Problem::internal("a handler panicked").into_response(),
            None => stopped(is_read).into_response(),
        };
        AnsweredRequest::is_answered(&self.app, response.status());
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

/// Fields with one value, of which a second one is refused on every resource. `Authorization` is refused as 401 and
/// `Idempotency-Key` where one is read; of two request ids neither is used.
const ONCE: [(HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "/Content-Type"), (HeaderName::from_static(MIN_APPLIED), "/Etebar-Min-Applied")];

/// Refuses a head that no handler may see.
fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    host(headers, request.version())?;
    if request.uri().authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Problem::invalid("", "the address in the request line names a user"));
    }
    for (name, pointer) in &ONCE {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(Problem::invalid(*pointer, "the header is given more than once"));
        }
    }
    transfer_coding(headers)
}

/// RFC 9112, section 3.2. Where the request line names an authority, that counts and `Host` is not compared with it
/// (section 3.2.2); it must be there and well-formed all the same.
fn host(headers: &HeaderMap, version: Version) -> Result<(), Problem> {
    let mut values = headers.get_all(header::HOST).iter();
    let refused = |detail: &str| Err(Problem::invalid("/Host", detail));
    match (values.next(), values.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => refused("the header is missing"),
        (Some(_), Some(_)) => refused("the header is given more than once"),
        (Some(value), None) if value.to_str().is_ok_and(is_authority) => Ok(()),
        (Some(_), None) => refused("neither a host nor a host with a port"),
    }
}

/// A body is sent whole or in chunks; no other transfer coding is decoded here.
fn transfer_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(Problem::invalid("/Transfer-Encoding", "either chunked, once, or none")),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use etebar_api::NODE;

    use super::*;

    #[test]
    fn a_panic_is_a_signed_500_that_calls_nothing_certain() {
        crate::fuzzing::at_the_node(async |server| {
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
