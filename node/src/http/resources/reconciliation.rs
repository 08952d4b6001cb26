//! One seller's books, added up again from the journal, not from the balance that is kept.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use etebar_api as api;
use ledger::RecordNumber;
use ledger::Sums;

use crate::http::app::App;
use crate::http::read;
use crate::http::read::records::{self, PIECE, RecordReader};
use crate::http::read::recount::Recount;
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::reply;

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/sellers/{id}/reconciliation", get(show))
}

/// `GET /v1/sellers/{id}/reconciliation`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let seller = read::seller_of(&app, &head, &caller)?;
    let query = head.query(&[])?;
    let recount = Recount::begin(&app, &caller, head.deadline).await?;
    read::fresh(&app, &head, &query).await?;
    let (applied, books) = {
        let replica = read::state(&app, &caller)?;
        let found = replica.state.seller(seller).ok_or_else(Problem::not_found)?;
        let books = Books { seller, balance: found.balance.signed(), entries: found.entries };
        (replica.applied, books)
    };
    let shown = records::reading(&app, move |reader| add_up(reader, &recount, &books)).await?;
    reply::json(applied, &shown)
}

/// A seller in the state at one position. What came later does not exist for the recomputation.
struct Books {
    seller: RecordNumber,
    balance: i64,
    entries: u64,
}

fn add_up(reader: &RecordReader, recount: &Recount, books: &Books) -> Result<api::Reconciliation, Problem> {
    let Books { seller, balance, entries } = *books;
    let mut sums = Sums::default();
    let mut sound = true;
    let (mut read, mut next) = (0, 1);
    while read < entries {
        let piece = reader.entries_of(seller, next, PIECE)?;
        let Some(last) = piece.last() else {
            return Err(Problem::internal(format_args!("seller {seller} has {read} entries and not {entries}")));
        };
        next = last + 1;
        for number in piece.into_iter().take(usize::try_from(entries - read).unwrap_or(PIECE)) {
            recount.check_deadline(read)?;
            let record = reader.record(number)?;
            sound &= record.seller() == Some(seller) && sums.add(&record);
            // Each entry holds the balance after it; that must be the sum so far, and never below zero.
            let balance_after = record.entry(&reader.info.ids, "").map(|entry| i128::from(entry.balance));
            sound &= balance_after == Some(sums.total()) && sums.total() >= 0;
            read += 1;
        }
    }
    let amount = |minor: i128| reader.info.amount(minor);
    Ok(api::Reconciliation {
        seller_id: reader.info.seller_id(seller),
        credits: amount(sums.credits),
        adjustments: amount(sums.adjustments),
        charges: amount(sums.charges),
        reversals: amount(sums.reversals),
        sum: amount(sums.total()),
        balance: amount(i128::from(balance)),
        entries: sums.entries,
        consistent: sound && sums.total() == i128::from(balance),
    })
}
