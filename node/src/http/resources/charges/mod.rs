//! Charges: the hot path. A charge alone, one looked up, lists of charges, and a reversal, which undoes one whole, once.

mod batch;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use etebar_api as api;
use etebar_api::{NewCharge, NewReversal, read_phone};
use ledger::{Action, Charge, IdKind, Reverse};

use crate::http::app::App;
use crate::http::read::charge_search::{Filter, FoundCharges, search, with_reversals};
use crate::http::read::records;
use crate::http::request::body::{self, Call, Faults};
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::reply;
use crate::http::{read, submit};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/charges", post(create).get(list))
        .route("/v1/charges/batch", post(batch::create))
        .route("/v1/charges/{id}", get(show))
        .route("/v1/charges/{id}/reversal", post(reverse))
}

/// `POST /v1/charges`
async fn create(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_seller()?;
    let key = call.head.idempotency_key()?;
    let decimals = app.ledger_info()?.decimals;
    let body = call.json(&app, caller.key).await?;
    let asked: NewCharge<'_> = body.parse()?;
    let mut faults = Faults::default();
    let phone = faults.at(|| "/phone".into(), read_phone(&asked.phone));
    let amount = faults.at(|| "/amount".into(), body::amount(asked.amount, decimals));
    let reference = faults.at(|| "/reference".into(), body::reference(asked.reference.as_deref()));
    let (Some(phone), Some(amount), Some(reference)) = (phone, amount, reference) else {
        return Err(faults.problem());
    };
    submit::run(&app, caller, Some(key), Action::Charge(Charge { phone, amount, reference }), call.head.deadline).await
}

/// `GET /v1/charges/{id}`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let query = head.query(&[])?;
    let number = app.ledger_info()?.ids.number(IdKind::Charge, head.id()?).ok_or_else(Problem::not_found)?;
    read::fresh(&app, &head, &query).await?;
    let (applied, records) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.records())
    };
    if number > records {
        return Err(Problem::not_found());
    }
    let found = records::reading(&app, move |reader| {
        let record = reader.record(number)?;
        let Some((seller, charge)) = record.seller().zip(reader.info.charge(&record)) else { return Ok(None) };
        Ok(Some((seller, api::ChargeRead { charge, reversed_by: reader.reversed_by(number, records)? })))
    });
    let (seller, shown) = found.await?.ok_or_else(Problem::not_found)?;
    caller.must_see(seller)?;
    reply::json(applied, &shown)
}

/// `GET /v1/charges`
async fn list(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let query = head.query(&["phone", "seller_id", "idempotency_key", "from", "to", "limit", "after"])?;
    let filter = Filter::of(&app, &caller, &query)?;
    let list = filter.list();
    let (after, limit) = (list.after(query.get("after"))?, query.limit()?);
    read::fresh(&app, &head, &query).await?;
    let permit = app.quotas.scans.take(caller.key, head.deadline).await?;
    // No wall clock: one that is ahead would hide a charge that a retry still finds.
    let now = app.cluster.ledger_time();
    let first = filter.first_record(&app).await?.max(after.saturating_add(1));
    let (applied, records, source) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.records(), filter.source(&replica, first, now)?)
    };
    let found = records::searching(&app, permit, move |reader| {
        let FoundCharges { charges, next } = search(reader, &filter, source, limit)?;
        Ok((with_reversals(reader, charges, records)?, next))
    });
    let (items, next) = found.await?;
    reply::json(applied, &list.page(items, next))
}

/// `POST /v1/charges/{id}/reversal`
async fn reverse(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let charge = app.ledger_info()?.ids.number(IdKind::Charge, call.head.id()?).ok_or_else(Problem::not_found)?;
    let key = call.head.idempotency_key()?;
    let body = call.json(&app, caller.key).await?;
    let asked: NewReversal<'_> = body.parse()?;
    let reason = body::reason(&asked.reason).map_err(|error| Problem::invalid("/reason", error))?;
    submit::run(&app, caller, Some(key), Action::Reverse(Reverse { charge, reason }), call.head.deadline).await
}
