//! The policy of the back office.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use etebar_api as api;
use ledger::{Action, Policy, SetPolicy};

use crate::http::app::App;
use crate::http::request::body::Call;
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::Answer;
use crate::http::response::reply;
use crate::http::{read, submit};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/policy", get(show).post(set))
}

/// `GET /v1/policy`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_all()?;
    let query = head.query(&[])?;
    read::fresh(&app, &head, &query).await?;
    let (applied, policy) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.policy())
    };
    reply::json(applied, &api::Policy { four_eyes: policy.four_eyes })
}

/// `POST /v1/policy`
async fn set(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let key = call.head.idempotency_key_if_any()?;
    let body = call.json(&app, caller.key).await?;
    let api::Policy { four_eyes } = body.parse()?;
    let action = Action::SetPolicy(SetPolicy { policy: Policy { four_eyes } });
    submit::run(&app, caller, key, action, call.head.deadline).await
}
