//! Which path is which resource. What is no path of the API, or no method of a path, is a problem like any other.

use axum::Router;
use axum::routing::{delete, get, post};
use etebar_api::Code;

use super::app::App;
use super::resources::{
    audit, charges, cluster, credit_requests, health, journal, keys, phones, reconciliation, sellers,
};
use super::response::problem::Problem;

/// All of the API.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/v1/charges", post(charges::create).get(charges::list))
        .route("/v1/charges/batch", post(charges::batch::create))
        .route("/v1/charges/{id}", get(charges::show))
        .route("/v1/charges/{id}/reversal", post(charges::reverse))
        .route("/v1/sellers", post(sellers::create).get(sellers::list))
        .route("/v1/sellers/{id}", get(sellers::show))
        .route("/v1/sellers/{id}/suspend", post(sellers::suspend))
        .route("/v1/sellers/{id}/activate", post(sellers::activate))
        .route("/v1/sellers/{id}/adjustments", post(sellers::adjust))
        .route("/v1/sellers/{id}/entries", get(journal::of_seller))
        .route("/v1/sellers/{id}/reconciliation", get(reconciliation::show))
        .route("/v1/keys", post(keys::create).get(keys::list))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .route("/v1/credit-requests", post(credit_requests::create).get(credit_requests::list))
        .route("/v1/credit-requests/{id}", get(credit_requests::show))
        .route("/v1/credit-requests/{id}/approve", post(credit_requests::approve))
        .route("/v1/credit-requests/{id}/reject", post(credit_requests::reject))
        .route("/v1/journal", get(journal::all))
        .route("/v1/phones/{number}", get(phones::show))
        .route("/v1/audit", get(audit::show))
        .route("/v1/cluster", get(cluster::show))
        .route("/v1/cluster/digest", get(cluster::digest))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "the Allow header names the methods of this address")
        })
        .with_state(app)
}
