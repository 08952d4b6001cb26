//! The strong room: everything that is true about money, decided without I/O, clock, chance or failure.
//!
//! Read in this order: [`amount`] (what money is), [`command`] (what is asked), [`record`] (what was decided),
//! [`mod@decide`] (the rules), [`state`] (the fold of all records), [`digest`] (what makes two ledgers equal),
//! [`audit`] (the books, added up again).
//!
//! Invariant: `State` is nothing but `records.iter().for_each(|r| state.apply(r))`; two states with equal record
//! digests are equal. The crate is `no_std` so that a clock, a socket or a file cannot even be named here.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used, clippy::float_arithmetic)]
#![warn(missing_docs)]

extern crate alloc;

pub mod amount;
pub mod audit;
pub mod command;
pub mod decide;
pub mod digest;
pub mod entry;
pub mod folded_name;
pub mod ids;
pub mod index;
pub mod key_table;
pub mod phone;
pub mod record;
pub mod state;
pub mod text;

pub use amount::{Amount, Balance, Change, MAX_MINOR};
pub use audit::{Audit, AuditReport, Broken, Claims, Promise, Sums};
pub use command::{Action, Command, Genesis, Grant, Incarnation, NodeNumber, SellerStatus, Verdict};
pub use decide::{Facts, Needs, Outcome, Rejection, decide, needs};
pub use digest::{Digest, chain_entry, chain_record};
pub use entry::{Account, Entry, EntryKind};
pub use folded_name::FoldedName;
pub use ids::{IdKind, IdSpace, KeyHash, KeyNumber, RecordNumber, SYSTEM_ACTOR, Time};
pub use key_table::KeyShares;
pub use phone::Phone;
pub use record::{Event, Record, Refusal, RequestShown};
pub use state::{ApiKey, EntryRef, PAGE_RECORDS, PageMark, PhoneAccount, Reversal, Seller, State, Totals, page_of};
pub use text::{IdempotencyKey, Name, Note, TextError};

/// The version of the rules in [`mod@decide`], of what a record's digest covers, and of how a recorded answer reads.
/// Written into the genesis; a later build raises it by a command, so that mixed builds decide alike.
/// A ledger keeps the version that it began with.
pub const RULES_VERSION: u32 = RULES_FOLDED_NAMES;
/// From this version on the names of active keys are compared as people see them ([`FoldedName`]), before byte for byte.
pub const RULES_FOLDED_NAMES: u32 = 2;
