//! Who gave an answer: `X-Request-Id`, `Etebar-Node`, `Etebar-Leader` and `Etebar-Applied`, on every answer that reaches
//! HTTP. Clients take an answer without `Etebar-Node` for somebody else's, which leaves the outcome unknown.

use axum::http::{HeaderMap, HeaderValue};
use etebar_api::{APPLIED, LEADER, NODE, REQUEST_ID};

use crate::http::app::App;

/// Adds the four headers; the position that an answer says it reflects stays.
pub fn sign(app: &App, headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
    headers.insert(NODE, app.node.clone());
    if let Some(leader) = app.cluster.leader() {
        headers.insert(LEADER, HeaderValue::from(leader));
    }
    if !headers.contains_key(APPLIED) {
        headers.insert(APPLIED, HeaderValue::from(app.cluster.applied()));
    }
}

/// The same as lines of a head, for an answer that hyper or nobody's handler gives.
pub fn lines(app: &App) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    sign(app, &mut headers, app.request_id());
    let lines =
        headers.iter().map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    lines.collect::<Vec<_>>().concat()
}
