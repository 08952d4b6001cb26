//! Why a command is not done: a [`Refusal`] is recorded where the command has an idempotency key, a [`Rejection`] never.
//!
//! Variants are encoded by position (bincode): add at the end, never remove or reorder.

use serde::{Deserialize, Serialize};

use crate::digest::ItemBytes;
use crate::state::Verdict;
use crate::values::amount::Balance;

/// Why the state forbids a command: what becomes a 409.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The seller's credit does not suffice.
    InsufficientCredit {
        /// The seller's credit at that time.
        balance: Balance,
    },
    /// The seller is suspended.
    SellerSuspended,
    /// The credit request has the opposite verdict.
    RequestDecided {
        /// Which one.
        verdict: Verdict,
    },
    /// The charge is reversed already.
    ChargeReversed,
    /// A balance would exceed [`crate::MAX_MINOR`].
    LimitExceeded,
    /// Another active key has the name.
    NameTaken,
    /// It is the last active admin key: without it the ledger could not be administered.
    LastAdminKey,
    /// Another node has one of the addresses.
    AddressTaken,
}

impl Refusal {
    /// What a record's digest covers of it. The first byte names it; an assigned one is never reused.
    pub(crate) fn write(self, bytes: &mut ItemBytes<'_>) {
        match self {
            Self::InsufficientCredit { balance } => {
                bytes.u8(1);
                bytes.u64(balance.minor());
            }
            Self::SellerSuspended => bytes.u8(2),
            Self::RequestDecided { verdict } => {
                bytes.u8(3);
                verdict.write(bytes);
            }
            Self::ChargeReversed => bytes.u8(4),
            Self::LimitExceeded => bytes.u8(5),
            Self::NameTaken => bytes.u8(6),
            Self::LastAdminKey => bytes.u8(7),
            Self::AddressTaken => bytes.u8(8),
        }
    }
}

/// Why nothing was done and nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// The key that acts is revoked or was never made.
    KeyRevoked,
    /// The key that acts may not do this.
    Forbidden,
    /// There is no such seller.
    UnknownSeller,
    /// There is no such API key.
    UnknownKey,
    /// There is no such credit request.
    UnknownRequest,
    /// There is no such charge.
    UnknownCharge,
    /// The idempotency key stands for another command.
    KeyReused,
    /// The state forbids it, and the command has no idempotency key under which that could be recorded.
    Conflict(Refusal),
    /// The ledger has no genesis yet, or has one already.
    OutOfPlace,
    /// A record that was read contradicts the state: a defect of the node.
    Inconsistent,
    /// Another API key has the same secret's hash, so the secret was not drawn at random: a defect of the node.
    SecretTaken,
    /// No request becomes such a command: a defect of the node, or a sender that is no node.
    Malformed,
    /// This build does not know the rules that the ledger is raised to: for the node alone, which must not go on.
    UnknownRules,
    /// The rules that the ledger goes by do not have such a command yet: not every node's build knows it.
    NotYet,
    /// There is no such node, or it has no need of it.
    UnknownNode,
    /// The ledger is on hold until an admin opens it.
    OnHold,
    /// The key that acts has expired.
    KeyExpired,
    /// An approval of more than the key's limit.
    OverLimit,
    /// Another person must decide this: see [`crate::Policy`].
    FourEyes,
}
