//! The client library of Etebar, a replicated ledger for B2B airtime sales: one call, as many attempts as its time-out
//! allows, one clear outcome.
//!
//! Every write carries an idempotency key (or is harmless to repeat), made once, outside the retry loop. So an attempt
//! whose outcome is unknown is repeated, on any server, without moving money twice. A caller gets an answer, or an
//! [`Error`] that says which of the three it is: refused, certainly not done, or unknown.
//!
//! ```no_run
//! # async fn sell() -> Result<(), Box<dyn std::error::Error>> {
//! use etebar::api::NewCharge;
//! use etebar::{Client, Error, IdempotencyKey};
//!
//! let servers = ["http://127.0.0.1:7101", "http://127.0.0.1:7102", "http://127.0.0.1:7103"];
//! let client = Client::new(servers)?.with_key("etb_seller_…")?;
//! // Saved with the order before the first attempt, so that a later process repeats the charge under the same key.
//! let order = IdempotencyKey::parse("order-17")?;
//! let charge = NewCharge { phone: "09123456789".into(), amount: "5000".parse()?, reference: None };
//! match client.charge(&charge, &order).await {
//!     Ok(answer) => println!("sold, {} left", answer.value.balance),
//!     Err(Error::Refused(problem)) => println!("refused, permanently: {}", problem.detail),
//!     Err(Error::NotDone(why)) => println!("not done: {why}"),
//!     Err(Error::OutcomeUnknown(why)) => println!("repeat it under {order}: {why}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Only a node's own answer is certain: it has `Etebar-Node`, a "no" is a problem with a known code, a "yes" has the
//! expected body. Any other answer (a proxy's page, a cached answer) leaves the outcome unknown. A key is repeated for
//! half of the time for which the cluster remembers it; after that a person has to look up what became of it. A refusal of
//! a later call under the same key is about the earlier one only where its code [settles the key](api::Code::settles_key).
//!
//! Read on at [`Client`] (servers, API key, TLS, time-out and all requests), [`Pager`] (lists) and [`Call`] (requests of
//! your own).
#![warn(missing_docs)]
#![deny(clippy::unwrap_used)]

mod call;
mod client;
mod error;
mod outcome;
mod pool;
mod requests;
mod retry;

pub use call::answer::{Answer, Failure, RawAnswer};
pub use call::idempotency::{BadKey, IdempotencyKey};
pub use call::query::Query;
pub use call::{Call, Effect};
pub use client::{Client, DEFAULT_TIMEOUT};
pub use error::{Error, NotDone, Unknown, duration_text};
pub use etebar_api as api;
pub use outcome::meaning::{Meaning, Reason};
pub use outcome::stopwatch::Stopwatch;
pub use pool::endpoint::{BadServer, Endpoint, Stream};
#[cfg(not(feature = "simulation"))]
pub use pool::tls::BadAuthority;
pub use requests::pager::Pager;
pub use requests::reads::{ChargeFilter, CreditRequestFilter, Span};
pub use retry::download::{Download, Opened};
