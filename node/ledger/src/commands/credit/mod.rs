//! A seller's credit: asked for, by itself or on its behalf, approved or rejected, and corrected.

mod adjust;
mod decide;
mod request;
mod request_for;

pub use self::adjust::{Adjust, Adjusted};
pub(super) use self::decide::CreditDecision;
pub use self::decide::{CreditApproved, CreditRejected, DecideCredit, RequestShown};
pub use self::request::{CreditRequested, RequestCredit};
pub use self::request_for::{CreditRequestedFor, RequestCreditFor};
