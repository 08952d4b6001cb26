//! Whether this node lives, and whether it is ready. Open to all, and plain text: one line a check.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};

use crate::http::app::App;
use crate::raft::Role;

/// Positions behind the furthest member up to which a node counts as ready.
/// Source: about a second's worth of entries at full load.
const LAG_MAX: u64 = 1_000;

/// One check: its name, and what is wrong where something is.
struct Check {
    name: &'static str,
    fault: Option<String>,
}

/// `GET /livez`: nothing here depends on other nodes.
pub async fn live(State(app): State<App>) -> Response<Body> {
    let readiness = app.cluster.readiness();
    report(&[Check { name: "node", fault: readiness.failure }])
}

/// `GET /readyz`
pub async fn ready(State(app): State<App>) -> Response<Body> {
    let readiness = app.cluster.readiness();
    let fault = |faulty: bool, text: &str| faulty.then(|| text.to_owned());
    let voter = match readiness.role {
        Role::Voter => None,
        Role::Learner => Some("a learner does not vote".to_owned()),
    };
    let disk = match (readiness.disk_stalled, app.cluster.is_disk_full()) {
        (true, _) => Some("the disk does not answer"),
        (false, true) => Some("the disk has no room for more records"),
        (false, false) => None,
    };
    report(&[
        Check { name: "data", fault: readiness.failure },
        Check { name: "recovered", fault: fault(!readiness.recovered, "what was committed is not applied yet") },
        Check { name: "leader", fault: fault(readiness.leader.is_none(), "no leader is known") },
        Check { name: "lag", fault: (readiness.lag > LAG_MAX).then(|| format!("{} positions behind", readiness.lag)) },
        Check { name: "voter", fault: voter },
        Check { name: "disk", fault: disk.map(str::to_owned) },
    ])
}

fn report(checks: &[Check]) -> Response<Body> {
    let lines = checks.iter().map(|check| match &check.fault {
        None => format!("ok {}\n", check.name),
        Some(fault) => format!("failed {}: {}\n", check.name, fault.replace('\n', " ")),
    });
    let text: String = lines.collect();
    let mut response = Response::new(Body::from(text));
    if checks.iter().any(|check| check.fault.is_some()) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
