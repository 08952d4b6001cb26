//! One request as a handler gets it: its head, its body still unread, and when it must be answered.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use etebar_api::{Code, MIN_APPLIED};
use futures::StreamExt;
use ledger::KeyNumber;
use tokio::time::Instant;
use uuid::Uuid;

use super::head::is_identity;
use super::query::{Query, whole_number};
use crate::http::app::App;
use crate::http::limits::LARGE_BODY_BYTES;
use crate::http::response::problem::Problem;

/// A request without its body.
#[derive(Debug)]
pub struct Head {
    parts: Parts,
    parameter: Option<String>,
    /// When it must be answered.
    pub deadline: Instant,
}

/// A request with its body.
pub struct Call {
    /// All but the body.
    pub head: Head,
    body: Body,
}

impl FromRequest<App> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let deadline = app.deadline();
        let (mut parts, body) = request.into_parts();
        // What does not decode is no name of anything.
        let parameters = RawPathParams::from_request_parts(&mut parts, app).await.map_err(|_| Problem::not_found())?;
        let parameter = parameters.iter().next().map(|(_, value)| value.to_owned());
        Ok(Self { head: Head { parts, parameter, deadline }, body })
    }
}

impl FromRequest<App> for Head {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Call::from_request(request, app).await.map(|call| call.head)
    }
}

impl Head {
    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The one variable part of the path.
    pub fn parameter(&self) -> &str {
        self.parameter.as_deref().unwrap_or_default()
    }

    /// The id in the path. What is no id names nothing.
    pub fn id(&self) -> Result<Uuid, Problem> {
        Uuid::try_parse(self.parameter()).map_err(|_| Problem::not_found())
    }

    /// The query, which may have the `known` parameters.
    pub fn query(&self, known: &[&str]) -> Result<Query<'_>, Problem> {
        Query::parse(self.parts.uri.query(), known)
    }

    /// The position that this node must have reached before it answers; one value at most (see [`super::head`]).
    pub fn min_applied(&self) -> Result<Option<u64>, Problem> {
        let Some(value) = self.headers().get(MIN_APPLIED) else { return Ok(None) };
        let position = value.to_str().ok().filter(|text| !text.is_empty()).and_then(whole_number);
        position.map(Some).ok_or_else(|| Problem::invalid("/Etebar-Min-Applied", "a position is a whole number"))
    }
}

impl Call {
    /// The body of a request that must have one, in JSON; `key` is the caller's.
    pub async fn json(&mut self, app: &App, key: KeyNumber) -> Result<Bytes, Problem> {
        if !is_json(self.head.headers()) {
            return Err(not_json());
        }
        self.bytes(app, key).await
    }

    /// The body of a request that may have one, in JSON.
    pub async fn json_if_any(&mut self, app: &App, key: KeyNumber) -> Result<Bytes, Problem> {
        let is_json = is_json(self.head.headers());
        let bytes = self.bytes(app, key).await?;
        if bytes.is_empty() || is_json { Ok(bytes) } else { Err(not_json()) }
    }

    async fn bytes(&mut self, app: &App, key: KeyNumber) -> Result<Bytes, Problem> {
        let most = app.limits.body_bytes;
        let announced = announced_bytes(self.head.headers());
        if announced.is_some_and(|bytes| bytes > most as u64) {
            return Err(too_large(most));
        }
        let body = std::mem::take(&mut self.body);
        let is_empty = hyper::body::Body::is_end_stream(&body);
        let is_large = announced.is_none_or(|bytes| bytes > LARGE_BODY_BYTES as u64);
        let _turn = if is_large && !is_empty {
            Some(app.quotas.large_bodies.take(key, self.head.deadline).await?)
        } else {
            None
        };
        match tokio::time::timeout_at(self.head.deadline, collect(body, most)).await {
            Ok(bytes) => bytes,
            Err(_) => Err(Problem::invalid("", "the body did not arrive in time")),
        }
    }
}

/// Joins the pieces of a body of at most `most` bytes. A body of one piece is not copied.
async fn collect(body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut pieces = body.into_data_stream();
    let mut first = Bytes::new();
    let mut joined: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::invalid("", "the body broke off"))?;
        if first.len().max(joined.len()) + piece.len() > most {
            return Err(too_large(most));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&piece);
    }
    Ok(if joined.is_empty() { first } else { joined.into() })
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body is said to be JSON, and in no other coding.
fn is_json(headers: &HeaderMap) -> bool {
    if !is_identity(headers) {
        return false;
    }
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn not_json() -> Problem {
    Problem::new(Code::UnsupportedMediaType, "the body is taken as application/json only, without a content coding")
}

fn too_large(most: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("a body has at most {most} bytes"))
}
