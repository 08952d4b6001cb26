//! Reversals: each undoes one charge, whole, at most once.

use axum::extract::State;
use etebar::api::NewReversal;
use ledger::{Action, IdKind};

use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::call::Call;
use crate::http::problem::{Answer, Problem};
use crate::http::{field, idempotency, json, write};

/// `POST /v1/charges/{id}/reversal`
pub async fn create(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let charge = app.ground()?.ids.number(IdKind::Charge, call.head.id()?).ok_or_else(Problem::not_found)?;
    let key = idempotency::required(call.head.headers())?;
    let body = call.json(&app, caller.key).await?;
    let asked: NewReversal<'_> = json::parse(&body)?;
    let reason = field::reason(&asked.reason).map_err(|error| Problem::invalid("/reason", error))?;
    write::decide(&app, caller, Some(key), Action::Reverse { charge, reason }, call.head.deadline).await
}
