//! The checks: what must hold after every simulated millisecond, and of the whole history at the end of a run.

mod accounts;
mod answers;
mod checker;
mod http_model;
mod ledger_time;
mod lists;
mod observer;
mod origin;
mod question;
mod reads;
mod records;

pub use checker::{FinalState, check};
pub use ledger_time::LedgerTimeCheck;
pub use lists::wrong_list;
pub use observer::Observer;
