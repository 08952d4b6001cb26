//! All that knows axum: the HTTP API of one node.
//!
//! Read in this order: [`server`] (how bytes become requests), [`resources`] (paths and their handlers), [`request`] (what is
//! asked, and by whom), [`quotas`] (what one key may use), [`submit`] and [`read`] (how it is done), [`response`] (how it is
//! answered). A request becomes a typed command here, once, and never later.

mod app;
mod limits;
mod quotas;
mod read;
mod request;
mod resources;
mod response;
mod server;
mod submit;

pub use app::App;
pub use limits::Limits;
pub use quotas::ConcurrencyBounds;
pub use request::secret;
#[cfg(any(test, feature = "fuzzing"))]
pub use server::embedded::EmbeddedServer;
pub use server::listen::serve;
pub use server::operator::serve_operator;
pub use server::tls::ApiTls;
