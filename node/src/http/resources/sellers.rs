//! Sellers: businesses with prepaid credit, and adjustments: an admin's signed correction of it, with a reason.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use etebar_api::{NewAdjustment, NewSeller};
use ledger::{Action, Adjust, CreateSeller, SellerStatus, SetSellerStatus};

use crate::http::app::App;
use crate::http::request::body::{self, Call, Faults, nothing_but_an_empty_object};
use crate::http::request::cursor::List;
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::reply;
use crate::http::{read, submit};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/sellers", post(create).get(list))
        .route("/v1/sellers/{id}", get(show))
        .route("/v1/sellers/{id}/suspend", post(suspend))
        .route("/v1/sellers/{id}/activate", post(activate))
        .route("/v1/sellers/{id}/adjustments", post(adjust))
}

/// `POST /v1/sellers`
async fn create(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let key = call.head.idempotency_key_if_any()?;
    let body = call.json(&app, caller.key).await?;
    let asked: NewSeller<'_> = body.parse()?;
    let name = body::name(&asked.name).map_err(|error| Problem::invalid("/name", error))?;
    submit::run(&app, caller, key, Action::CreateSeller(CreateSeller { name }), call.head.deadline).await
}

/// `GET /v1/sellers`
async fn list(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_all()?;
    let query = head.query(&["limit", "after"])?;
    let (list, limit) = (List::new("sellers"), query.limit()?);
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let info = app.ledger_info()?;
    let (applied, mut sellers) = {
        let replica = read::state(&app, &caller)?;
        let found = replica.state.sellers_after(after).take(limit + 1);
        (replica.applied, found.map(|(number, seller)| (*number, info.seller(seller))).collect::<Vec<_>>())
    };
    let more = sellers.len() > limit;
    sellers.truncate(limit);
    let last = sellers.last().map(|(number, _)| *number).filter(|_| more);
    reply::json(applied, &list.page(sellers.into_iter().map(|(_, seller)| seller).collect(), last))
}

/// `GET /v1/sellers/{id}` and `/v1/sellers/me`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let query = head.query(&[])?;
    let number = read::seller_of(&app, &head, &caller)?;
    read::fresh(&app, &head, &query).await?;
    let info = app.ledger_info()?;
    let (applied, seller) = {
        let replica = read::state(&app, &caller)?;
        let seller = replica.state.seller(number).ok_or_else(Problem::not_found)?;
        (replica.applied, info.seller(seller))
    };
    reply::json(applied, &seller)
}

/// `POST /v1/sellers/{id}/suspend`
async fn suspend(State(app): State<App>, call: Call) -> Answer {
    set_status(app, call, SellerStatus::Suspended).await
}

/// `POST /v1/sellers/{id}/activate`
async fn activate(State(app): State<App>, call: Call) -> Answer {
    set_status(app, call, SellerStatus::Active).await
}

async fn set_status(app: App, mut call: Call, status: SellerStatus) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let seller = read::seller_number(&app, call.head.id()?)?;
    nothing_but_an_empty_object(&call.json_if_any(&app, caller.key).await?)?;
    submit::run(&app, caller, None, Action::SetSellerStatus(SetSellerStatus { seller, status }), call.head.deadline)
        .await
}

/// `POST /v1/sellers/{id}/adjustments`
async fn adjust(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let seller = read::seller_number(&app, call.head.id()?)?;
    let key = call.head.idempotency_key()?;
    let decimals = app.ledger_info()?.decimals;
    let body = call.json(&app, caller.key).await?;
    let asked: NewAdjustment<'_> = body.parse()?;
    let mut faults = Faults::default();
    let amount = faults.at(|| "/amount".into(), body::change(asked.amount, decimals));
    let reason = faults.at(|| "/reason".into(), body::reason(&asked.reason));
    let (Some(amount), Some(reason)) = (amount, reason) else { return Err(faults.problem()) };
    let action = Action::Adjust(Adjust { seller, amount, reason });
    submit::run(&app, caller, Some(key), action, call.head.deadline).await
}
