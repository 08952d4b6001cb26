//! All that knows axum: the HTTP API of one node.
//!
//! Read in this order: [`listen`], [`tls`] and [`connection`] (how bytes become requests), [`edge`] (what is checked before a
//! caller is known), [`front`] (what every answer has),
//! [`router`] and [`resources`] (what is asked), [`auth`], [`quotas`], [`write`], [`read`] and [`history`] (how it is done),
//! [`render`] and [`problem`] (how it is told). A request becomes a typed command here, once, and never later.

mod app;
mod auth;
mod call;
mod connection;
mod cursor;
mod disk_room;
mod edge;
mod field;
mod front;
#[cfg(any(test, feature = "fuzzing"))]
mod gate;
mod history;
mod idempotency;
mod json;
mod limits;
mod listen;
mod problem;
mod query;
mod quotas;
mod read;
mod recount;
mod render;
mod reply;
mod resources;
mod router;
pub mod secret;
mod stop;
mod tls;
mod wire;
mod write;

pub use app::App;
#[cfg(any(test, feature = "fuzzing"))]
pub use gate::Gate;
pub use limits::Limits;
pub use listen::serve;
pub use quotas::TurnBounds;
pub use tls::ApiTls;
