//! Who may do what, the policy that all act by, and what was done.

mod acts;
mod keys;
mod policy;

use axum::Router;

use crate::http::app::App;

/// The paths of these resources.
pub(crate) fn routes() -> Router<App> {
    acts::routes().merge(keys::routes()).merge(policy::routes())
}
