//! Changes of the members. Each names what is to be, so that asking again is safe; whoever leads carries it out.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, post};
use etebar_api::{NewMember, read_address};
use ledger::{Address, NodeAddresses, NodeNumber};
use tokio::time::Instant;

use super::cluster;
use crate::http::app::App;
use crate::http::request::body::{Call, Faults, nothing_but_an_empty_object};
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::reply;
use crate::raft::MembershipChange;

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/cluster/members", post(add))
        .route("/v1/cluster/members/{id}", delete(remove))
        .route("/v1/cluster/members/{id}/promote", post(promote))
}

/// `POST /v1/cluster/members`
async fn add(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_operate()?;
    let body = call.json(&app, caller.key).await?;
    let asked: NewMember<'_> = body.parse()?;
    let mut faults = Faults::default();
    let api = faults.at(|| "/api".into(), address(&asked.api));
    let peer = faults.at(|| "/peer".into(), address(&asked.peer));
    let (Some(api), Some(peer)) = (api, peer) else { return Err(faults.problem()) };
    if api == peer {
        return Err(Problem::invalid("/peer", "the API and the peer link have an address each"));
    }
    let change = MembershipChange::Add { addresses: NodeAddresses { api, peer } };
    let node = changed(&app, &caller, change, call.head.deadline).await?;
    shown(&app, node, StatusCode::CREATED)
}

/// An address as nodes dial it.
fn address(text: &str) -> Result<Address, String> {
    read_address(text).map_err(|error| error.to_string())?;
    Address::new(text).map_err(|error| error.to_string())
}

/// `POST /v1/cluster/members/{id}/promote`
async fn promote(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_operate()?;
    let node = call.head.node()?;
    nothing_but_an_empty_object(&call.json_if_any(&app, caller.key).await?)?;
    let node = changed(&app, &caller, MembershipChange::Promote { node }, call.head.deadline).await?;
    shown(&app, node, StatusCode::OK)
}

/// `DELETE /v1/cluster/members/{id}`
async fn remove(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_operate()?;
    let change = MembershipChange::Remove { node: head.node()? };
    changed(&app, &caller, change, head.deadline).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    reply::at(&mut response, app.cluster.applied());
    Ok(response)
}

async fn changed(
    app: &App,
    caller: &Caller,
    change: MembershipChange,
    deadline: Instant,
) -> Result<NodeNumber, Problem> {
    Ok(app.cluster.change_members((caller.key, caller.origin(app)), change, deadline).await?)
}

/// A member as this node sees it now.
fn shown(app: &App, node: NodeNumber, status: StatusCode) -> Answer {
    let cluster = app.cluster.status();
    let Some(member) = cluster.members.iter().find(|member| member.id == node) else {
        return Err(Problem::new(etebar_api::Code::NotFound, format!("node {node} was removed meanwhile")));
    };
    let body = serde_json::to_vec(&cluster::node(member, app.scheme())).map_err(Problem::internal)?;
    Ok(reply::bytes_of(status, cluster.applied, body))
}
