//! The whole ledger, added up again from its records alone, as far as the node's audit has come; at once at any age.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use etebar_api as api;
use ledger::Broken;

use crate::http::app::App;
use crate::http::read;
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::Answer;
use crate::http::response::render::LedgerInfo;
use crate::http::response::reply;
use crate::raft::Audited;

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/audit", get(show))
}

/// `GET /v1/audit`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_sums()?;
    let query = head.query(&["min_entry"])?;
    let min_entry = query.number("min_entry")?.unwrap_or(0);
    read::fresh(&app, &head, &query).await?;
    let audited = app.cluster.audited(min_entry, head.deadline).await?;
    let info = app.ledger_info()?;
    // Read after the audit's position, so that it is none behind it.
    let (applied, newest) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.entries())
    };
    reply::json(applied, &body(&info, &audited, newest))
}

fn body(info: &LedgerInfo, audited: &Audited, newest: u64) -> api::Audit {
    let Audited { applied, report } = audited;
    let amount = |minor: i128| info.amount(minor);
    api::Audit {
        entries: report.sums.entries,
        head: newest,
        sellers: report.sellers,
        credits: amount(report.sums.credits),
        adjustments: amount(report.sums.adjustments),
        charges: amount(report.sums.charges),
        reversals: amount(report.sums.reversals),
        seller_balances: amount(report.seller_balances),
        phone_balances: amount(report.phone_balances),
        treasury: amount(report.treasury),
        consistent: report.is_consistent(),
        broken: report.broken.iter().map(shown).collect(),
        applied: *applied,
        digest: report.digest.to_string(),
    }
}

fn shown(broken: &Broken) -> api::BrokenPromise {
    api::BrokenPromise {
        promise: broken.promise.name().to_owned(),
        faults: broken.faults,
        entry: broken.entry,
        detail: broken.detail.clone(),
    }
}
