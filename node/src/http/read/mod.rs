//! How a read is served: how fresh the state must be, which state is shown, and which seller is meant.

pub(crate) mod charge_search;
pub(crate) mod records;
pub(crate) mod recount;

use ledger::{IdKind, RecordNumber};
use parking_lot::RwLockReadGuard;
use uuid::Uuid;

use super::app::App;
use super::request::head::Caller;
use super::request::head::Head;
use super::request::query::Query;
use super::response::problem::Problem;
use crate::raft::{Consistency, Replica};

/// Waits until this node may answer: until it has applied all that was acknowledged before; a local read waits for nothing
/// but a position that the caller names.
pub(crate) async fn fresh(app: &App, head: &Head, query: &Query<'_>) -> Result<(), Problem> {
    wait(app, head, query.consistency()?).await
}

/// Waits only for a position that the caller names.
pub(crate) async fn local(app: &App, head: &Head) -> Result<(), Problem> {
    wait(app, head, Consistency::Local).await
}

async fn wait(app: &App, head: &Head, consistency: Consistency) -> Result<(), Problem> {
    Ok(app.cluster.read(consistency, head.min_applied()?, head.deadline).await?)
}

/// The state, for a caller whose key is in force in it. Never held across an await.
pub(crate) fn state<'a>(app: &'a App, caller: &Caller) -> Result<RwLockReadGuard<'a, Replica>, Problem> {
    let replica = app.cluster.replica();
    caller.must_hold_in(&replica.state)?;
    Ok(replica)
}

/// The record number of a seller's id; an id of nothing else, and of this cluster.
pub(crate) fn seller_number(app: &App, id: Uuid) -> Result<RecordNumber, Problem> {
    app.ledger_info()?.ids.number(IdKind::Seller, id).ok_or_else(Problem::not_found)
}

/// The seller in the path: an id, or `me` for the seller whose key this is.
pub(crate) fn seller_of(app: &App, head: &Head, caller: &Caller) -> Result<RecordNumber, Problem> {
    if head.parameter() == "me" {
        return caller.must_be_seller().map_err(|_| Problem::not_found());
    }
    let number = seller_number(app, head.id()?)?;
    caller.must_see(number)?;
    Ok(number)
}

/// The seller that a list is filtered by: the caller itself for a seller, the one in the query otherwise.
pub(crate) fn seller_filter(app: &App, caller: &Caller, query: &Query<'_>) -> Result<Option<RecordNumber>, Problem> {
    let asked = query.uuid("seller_id")?.map(|id| seller_number(app, id)).transpose()?;
    match caller.must_be_seller() {
        Ok(own) => {
            asked.map_or(Ok(()), |seller| caller.must_see(seller))?;
            Ok(Some(own))
        }
        Err(_) => caller.must_see_all().map(|()| asked),
    }
}
