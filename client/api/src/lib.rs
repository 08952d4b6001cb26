//! The bodies of the HTTP contract: what goes in ([`Serialize`](serde::Serialize) for callers, `Deserialize` for the
//! node) and what comes out, each with its members in the contract's order.
//!
//! Requests refuse unknown members; answers tolerate them, so that an older caller reads a newer node.

mod address;
mod charges;
mod cluster;
mod credit_requests;
mod duration;
mod journal;
mod keys;
mod money;
mod page;
mod phone;
mod problem;
mod sellers;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub use address::{AddressError, read_address};
pub use charges::{BatchItem, BatchRequest, BatchResponse, BatchResult, Charge, ChargeRead, NewCharge, NewReversal};
pub use cluster::{ClusterStatus, DigestAt, Member, MemberRole};
pub use credit_requests::{CreditRequest, NewCreditRequest, RequestStatus, Verdict};
pub use duration::read_duration;
pub use journal::{Audit, BrokenPromise, Entry, EntryKind, NewAdjustment, Phone, Reconciliation};
pub use keys::{Key, NewKey, Role};
pub use money::{AmountError, AmountIn, AmountOut, MAX_MINOR, MAX_PLACES};
pub use page::Page;
pub use phone::{PhoneError, read_phone};
pub use problem::{Code, FieldError, Problem};
pub use sellers::{NewSeller, Seller, SellerStatus};
pub use text::{CodePoint, NameError, SHOWN_CHARS, check_name, is_visible, shown, shown_json, shown_lines};
pub use time::{Timestamp, TimestampError};

/// Most charges in one batch. Source: the contract; more is answered with 413.
pub const MAX_BATCH: usize = 8_000;
/// Longest idempotency key, in ASCII characters. Source: the contract.
pub const MAX_IDEMPOTENCY_KEY: usize = 64;
/// Largest `limit` of a page. Source: the contract.
pub const MAX_PAGE: u32 = 1_000;
/// `limit` of a page where none is given. Source: the contract.
pub const DEFAULT_PAGE: u32 = 100;

/// Header of a request that makes it repeatable.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header of an answer that was decided before: `true`.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// Header of every answer: the id of the node that gave it.
pub const NODE: &str = "etebar-node";
/// Header of an answer: the id of the leader that the node knows.
pub const LEADER: &str = "etebar-leader";
/// Header of an answer: the position that it reflects.
pub const APPLIED: &str = "etebar-applied";
/// Header of a request that waits until the node has reached a position.
pub const MIN_APPLIED: &str = "etebar-min-applied";
/// Header of every answer: the caller's name for the request, or the node's.
pub const REQUEST_ID: &str = "x-request-id";
/// Media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";
