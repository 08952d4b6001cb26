//! Adjustments: an admin's signed correction of a seller's credit, with a reason.

use axum::extract::State;
use etebar::api::NewAdjustment;
use ledger::Action;

use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::call::Call;
use crate::http::field::Faults;
use crate::http::problem::Answer;
use crate::http::{field, idempotency, json, read, write};

/// `POST /v1/sellers/{id}/adjustments`
pub async fn create(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let seller = read::seller_number(&app, call.head.id()?)?;
    let key = idempotency::required(call.head.headers())?;
    let places = app.ground()?.places;
    let body = call.json(&app, caller.key).await?;
    let asked: NewAdjustment<'_> = json::parse(&body)?;
    let mut faults = Faults::default();
    let amount = faults.at(|| "/amount".into(), field::change(asked.amount, places));
    let reason = faults.at(|| "/reason".into(), field::reason(&asked.reason));
    let (Some(amount), Some(reason)) = (amount, reason) else { return Err(faults.problem()) };
    let action = Action::Adjust { seller, amount, reason };
    write::decide(&app, caller, Some(key), action, call.head.deadline).await
}
