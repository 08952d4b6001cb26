//! Successful answers, with the position that they reflect.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use etebar_api::{APPLIED, IDEMPOTENCY_REPLAYED};
use serde::Serialize;

use super::problem::{Answer, Problem};

/// A body in JSON, as of position `applied`.
pub(crate) fn json(applied: u64, body: &impl Serialize) -> Answer {
    let bytes = serde_json::to_vec(body).map_err(Problem::internal)?;
    Ok(bytes_of(StatusCode::OK, applied, bytes))
}

/// A body of JSON bytes, as of position `applied`.
pub(crate) fn bytes_of(status: StatusCode, applied: u64, bytes: Vec<u8>) -> Response<Body> {
    let is_empty = bytes.is_empty();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    if !is_empty {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    at(&mut response, applied);
    response
}

/// Marks an answer with the position that it reflects.
pub(crate) fn at(response: &mut Response<Body>, applied: u64) {
    response.headers_mut().insert(APPLIED, HeaderValue::from(applied));
}

/// Marks an answer as a replay of an earlier decision.
pub(crate) fn replayed(response: &mut Response<Body>) {
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
}
