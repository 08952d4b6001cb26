//! The problem that a refusal by the state becomes. Recorded refusals are replayed, so the wording is frozen.

use etebar_api::{Code, Problem};
use ledger::{Refusal, Verdict};

use super::LedgerInfo;

/// The problem that answers a refusal.
pub(crate) fn refusal(info: &LedgerInfo, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::InsufficientCredit { balance } => {
            Problem::new(Code::InsufficientCredit, "the seller's credit does not suffice")
                .with_balance(info.amount(balance.signed()))
        }
        Refusal::SellerSuspended => Problem::new(Code::SellerSuspended, "the seller is suspended"),
        Refusal::RequestDecided { verdict: Verdict::Approved } => {
            Problem::new(Code::CreditRequestDecided, "the credit request was approved before")
        }
        Refusal::RequestDecided { verdict: Verdict::Rejected } => {
            Problem::new(Code::CreditRequestDecided, "the credit request was rejected before")
        }
        Refusal::ChargeReversed => Problem::new(Code::ChargeReversed, "the charge was reversed before"),
        Refusal::LimitExceeded => Problem::new(Code::LimitExceeded, "a balance would exceed 10^15 minor units"),
        Refusal::NameTaken => Problem::new(Code::NameTaken, "another active key has this name"),
        Refusal::AddressTaken => Problem::new(Code::AddressTaken, "one of these addresses is another node's"),
        Refusal::LastAdminKey => {
            Problem::new(Code::LastAdminKey, "without this key nobody could administer the ledger")
        }
    }
}
