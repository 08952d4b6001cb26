//! The resources of the API, one file each: its paths, what is asked, who may, what is shown.
//!
//! A path that does not exist gets a 404, and a method that a path does not have a 405, each a problem like any other.

mod administration;
mod audit;
mod backup;
mod charges;
mod cluster;
mod credit_requests;
pub(crate) mod health;
mod journal;
mod members;
mod phones;
mod reconciliation;
mod sellers;

use axum::Router;
use etebar_api::Code;

use super::app::App;
use super::response::problem::Problem;

/// All paths of the API.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .merge(administration::routes())
        .merge(audit::routes())
        .merge(backup::routes())
        .merge(charges::routes())
        .merge(cluster::routes())
        .merge(credit_requests::routes())
        .merge(health::routes())
        .merge(journal::routes())
        .merge(members::routes())
        .merge(phones::routes())
        .merge(reconciliation::routes())
        .merge(sellers::routes())
        .fallback(async || Problem::not_found())
        // After all routes: it is set on those that are there.
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "the Allow header names the methods of this address")
        })
        .with_state(app)
}
