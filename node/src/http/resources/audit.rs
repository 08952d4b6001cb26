//! The whole ledger, added up again at one position, from its records alone; while charges continue.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use etebar_api as api;
use ledger::{Audit, Broken, Claims, Movement, PAGE_RECORDS, RecordNumber, TableSeed, page_of};
use tracing::error;

use crate::http::app::App;
use crate::http::read;
use crate::http::read::records::{self, Holding, RecordReader};
use crate::http::read::recount::Recount;
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::reply;

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/audit", get(show))
}

/// `GET /v1/audit`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_all()?;
    let query = head.query(&[])?;
    let recount = Recount::begin(&app, &caller, head.deadline).await?;
    read::fresh(&app, &head, &query).await?;
    let (applied, claims) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, Claims::without_balances(&replica.state))
    };
    let seed = TableSeed::from_bytes(app.entropy.bytes().map_err(Problem::internal)?);
    let shown = records::reading(&app, move |reader| add_up(reader, &recount, applied, claims, seed)).await?;
    reply::json(applied, &shown)
}

/// What each seller held after the record `at`. The state is read a few sellers at a time while charges continue, so what
/// later records have moved since is subtracted.
fn balances(
    reader: &RecordReader,
    recount: &Recount,
    at: RecordNumber,
) -> Result<BTreeMap<RecordNumber, i128>, Problem> {
    let mut held: BTreeMap<RecordNumber, (i128, RecordNumber)> = BTreeMap::new();
    let mut newest = at;
    loop {
        let piece = reader.holdings_after(held.last_key_value().map_or(0, |(seller, _)| *seller));
        let Some(Holding { after, .. }) = piece.last() else { break };
        newest = newest.max(*after);
        held.extend(piece.iter().map(|holding| (holding.seller, (i128::from(holding.balance), holding.after))));
        recount.check_deadline(0)?;
    }
    for number in at + 1..=newest {
        recount.check_deadline(number)?;
        let Some(Movement { seller, amount, .. }) = reader.record(number)?.movement() else { continue };
        if let Some((balance, _)) = held.get_mut(&seller).filter(|(_, after)| *after >= number) {
            *balance -= i128::from(amount);
        }
    }
    Ok(held.into_iter().filter(|(seller, _)| *seller <= at).map(|(seller, (balance, _))| (seller, balance)).collect())
}

fn add_up(
    reader: &RecordReader,
    recount: &Recount,
    applied: u64,
    mut claims: Claims,
    seed: TableSeed,
) -> Result<api::Audit, Problem> {
    claims.balances = balances(reader, recount, claims.records)?;
    let mut audit = Audit::new(seed);
    for number in 1..=claims.records {
        recount.check_deadline(number)?;
        if number % PAGE_RECORDS == 1 {
            audit.compare_mark(&reader.page_mark(page_of(number))?);
        }
        audit.feed(&*reader.record(number)?);
    }
    let report = audit.report(&claims);
    report.broken.iter().for_each(|broken| log(broken, applied));
    let amount = |minor: i128| reader.info.amount(minor);
    Ok(api::Audit {
        entries: report.sums.entries,
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
        applied,
        digest: report.digest.to_string(),
    })
}

/// Logged for the operator: the books are wrong on this node at least.
fn log(broken: &Broken, applied: u64) {
    let Broken { promise, faults, record, entry, detail } = broken;
    error!(promise = promise.name(), faults, record, entry, %detail, applied, "audit found a broken promise");
}

fn shown(broken: &Broken) -> api::BrokenPromise {
    api::BrokenPromise {
        promise: broken.promise.name().to_owned(),
        faults: broken.faults,
        entry: broken.entry,
        detail: broken.detail.clone(),
    }
}
