//! Phone accounts: what was sold to one number.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use etebar_api as api;
use etebar_api::read_phone;

use crate::http::app::App;
use crate::http::read::{self, records};
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::render::timestamp;
use crate::http::response::reply;

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/phones/{number}", get(show))
}

/// `GET /v1/phones/{number}`, in any spelling; a number that was never charged is not found.
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_all()?;
    let query = head.query(&[])?;
    let phone = read_phone(head.parameter()).map_err(|error| Problem::invalid("/number", error))?;
    read::fresh(&app, &head, &query).await?;
    let info = app.ledger_info()?;
    let (applied, account) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, *replica.state.phone(phone).ok_or_else(Problem::not_found)?)
    };
    let last = records::reading(&app, move |reader| reader.record(account.last_charge)).await?;
    let shown = api::Phone {
        phone: phone.to_string(),
        balance: info.amount(account.balance.signed()),
        charges: account.charges,
        last_charge_at: timestamp(last.time),
    };
    reply::json(applied, &shown)
}
