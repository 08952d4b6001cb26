//! The ledger: every rule about money, decided without I/O, clock or randomness.
//!
//! Read in this order: [`values`] (what money is), [`commands`] (what can be asked, a file for each kind of command with
//! its checks and its event), [`record`] (what was decided), [`decide`](mod@decide) (authorisation and idempotency, the
//! same for all), [`state`] and [`apply`] (the replay of all records), [`digest`] (what makes two ledgers equal),
//! [`audit`] (the books, added up again).
//!
//! Invariant: a `State` is `records.iter().for_each(|r| state.apply(r))` and nothing else; two states with equal record
//! digests are equal. The crate is `no_std`, so a clock, a socket or a file cannot be named here.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used, clippy::float_arithmetic)]
#![warn(missing_docs)]

extern crate alloc;

pub mod values;

pub mod commands;
pub mod origin;
pub mod record;
pub mod refusal;

pub mod decide;

pub mod apply;
pub mod state;

pub mod audit;
pub mod digest;
pub mod entry;
pub mod page;

pub use audit::{
    AUDIT_IMAGE_VERSION, Accounts, Audit, AuditBuilder, AuditPart, AuditReport, Broken, Claims, Past, Promise,
    SellerSpan, Sums,
};
pub use commands::*;
pub use decide::{Facts, Missing, Outcome, decide, missing, touch_keys, touch_phones};
pub use digest::{Digest, EntryChain, RecordChain};
pub use entry::{Account, Entry, EntryKind, Movement};
pub use origin::Origin;
pub use page::{PAGE_RECORDS, PageMark, page_of};
pub use record::Record;
pub use refusal::{Refusal, Rejection};
pub use state::api_key::{ApiKey, Grant};
pub use state::genesis::{Genesis, MAX_DECIMALS};
pub use state::idempotency_table::IdempotencyShares;
pub use state::image::{IMAGE_VERSION, ImageError, Part, StateBuilder};
pub use state::node::{Node, NodeAddresses, NodeMembership};
pub use state::policy::Policy;
pub use state::recovery::{Epoch, Hold, VerifiedBackup};
pub use state::seller::{Seller, SellerStatus};
pub use state::sharded::TableSeed;
pub use state::{Concluded, Conclusion, Incarnation, NodeNumber, PhoneAccount, State, Totals, Verdict};
pub use values::amount::{Amount, Balance, MAX_MINOR, SignedAmount};
pub use values::folded_name::FoldedName;
pub use values::ids::{
    ApiKeyHash, ApiKeyNumber, At, IdKind, IdSpace, RecordNumber, SYSTEM_ACTOR, SYSTEM_NAME, Time, stated_in,
};
pub use values::phone::Phone;
pub use values::rules::{RULES_FOLDED_NAMES, RULES_NODES, RULES_RECOVERY, RULES_ROLES, RULES_VERSION};
pub use values::text::{
    ADDRESS_BYTES, Address, IdempotencyKey, KEY_BYTES, NAME_CHARS, NOTE_CHARS, Name, Note, REFERENCE_CHARS, Reference,
    TextError,
};
