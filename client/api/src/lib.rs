//! The HTTP contract of Etebar as types: [bodies](Charge) of requests and answers, with their fields in the contract's
//! order, and the values in them.
//!
//! Node and client share this crate, so each body is written once: callers serialize requests and deserialize answers, the
//! node does the reverse. Requests refuse unknown fields; answers tolerate them, so that an older caller reads a newer
//! node. Every problem that the ledger answers with is a [`Problem`] with a [`Code`].
#![warn(missing_docs)]

mod bodies;
mod headers;
#[cfg(test)]
mod tests;
mod values;

pub use bodies::acts::{Act, ActKind, Policy};
pub use bodies::charges::{
    BatchItem, BatchRequest, BatchResponse, BatchResult, Charge, ChargeRead, MAX_BATCH, NewCharge, NewReversal,
};
pub use bodies::cluster::{
    AuditProgress, ClockHealth, ClusterStatus, DigestAt, KeysHeld, LastBackup, NewBackup, NewLeader, NewMember,
    NodeRole, NodeStage, NodeStatus,
};
pub use bodies::credit_requests::{CreditRequest, NewCreditRequest, NewDecision, RequestStatus};
pub use bodies::journal::{Audit, BrokenPromise, Entry, EntryKind, NewAdjustment, Phone, Reconciliation};
pub use bodies::keys::{Key, NewKey, NewRotation, OVERLAP_MAX_S, OVERLAP_S, Role, RotatedKey};
pub use bodies::page::{DEFAULT_PAGE, MAX_PAGE, Page};
pub use bodies::problem::{Code, FieldError, Problem};
pub use bodies::sellers::{NewSeller, Seller, SellerStatus};
pub use headers::{
    APPLIED, BACKUP, IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, LEADER, MAX_IDEMPOTENCY_KEY, MIN_APPLIED, NODE,
    PROBLEM_JSON, REQUEST_ID, TRACEPARENT,
};
pub use values::address::{AddressError, read_address};
pub use values::duration::read_duration;
pub use values::money::{AmountError, AmountIn, AmountOut, MAX_DECIMALS, MAX_MINOR};
pub use values::phone::{PhoneError, read_phone};
pub use values::text::{
    CodePoint, NameError, ReferenceError, SHOWN_CHARS, check_name, check_reference, is_visible, shown, shown_json,
    shown_lines,
};
pub use values::time::{Timestamp, TimestampError};
