//! Whether this node is alive, and whether it is ready. Needs no key; plain text, one line for each check.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;

use crate::http::app::App;
use crate::raft::{ClockHealth, VotingRole};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready))
}

/// Positions behind the furthest node up to which a node counts as ready.
/// Source: about a second's worth of entries at full load.
const LAG_MAX: u64 = 1_000;

/// One check: its name, the fault where it fails, and what the operator should know though it passes.
struct Check {
    name: &'static str,
    fault: Option<String>,
    note: Option<String>,
}

impl Check {
    fn new(name: &'static str, fault: Option<String>) -> Self {
        Self { name, fault, note: None }
    }
}

/// `GET /livez`: nothing here depends on other nodes.
async fn live(State(app): State<App>) -> Response<Body> {
    let readiness = app.cluster.readiness();
    report(&[Check::new("node", readiness.failure)])
}

/// `GET /readyz`
async fn ready(State(app): State<App>) -> Response<Body> {
    let readiness = app.cluster.readiness();
    let fault = |faulty: bool, text: &str| faulty.then(|| text.to_owned());
    let voter = match readiness.role {
        VotingRole::Voter => None,
        VotingRole::Learner => Some("a learner does not vote".to_owned()),
    };
    let disk = match (readiness.disk_stalled, app.cluster.is_disk_full()) {
        (true, _) => Some("the disk does not answer"),
        (false, true) => Some("the disk has no room for more records"),
        (false, false) => None,
    };
    report(&[
        Check::new("data", readiness.failure),
        Check::new("recovered", fault(!readiness.recovered, "what was committed is not applied yet")),
        Check::new("leader", fault(readiness.leader.is_none(), "no leader is known")),
        Check::new("lag", (readiness.lag > LAG_MAX).then(|| format!("{} positions behind", readiness.lag))),
        Check::new("voter", voter),
        Check::new("disk", disk.map(str::to_owned)),
        Check { note: clock_note(readiness.clock), ..Check::new("clock", None) },
    ])
}

/// What is wrong with this node's clock. It serves all the same: ledger time follows no clock that may be wrong.
fn clock_note(clock: ClockHealth) -> Option<String> {
    match clock {
        ClockHealth::Agrees | ClockHealth::Alone => None,
        ClockHealth::Differs => {
            Some("it and the only other clock received differ, and no third one says which is wrong".to_owned())
        }
        ClockHealth::Off { ahead_ms } => {
            Some(format!("it is {} most of the others: this node does not lead", far(ahead_ms)))
        }
        ClockHealth::NotFollowed { ahead_ms } => {
            Some(format!("it is {} ledger time, which does not follow it: no other clock confirms it", far(ahead_ms)))
        }
    }
}

fn far(ahead_ms: i64) -> String {
    let way = if ahead_ms < 0 { "behind" } else { "ahead of" };
    format!("{} ms {way}", ahead_ms.unsigned_abs())
}

fn report(checks: &[Check]) -> Response<Body> {
    let lines = checks.iter().map(|check| match (&check.fault, &check.note) {
        (None, None) => format!("ok {}\n", check.name),
        (None, Some(note)) => format!("ok {}: {note}\n", check.name),
        (Some(fault), _) => format!("failed {}: {}\n", check.name, fault.replace('\n', " ")),
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
