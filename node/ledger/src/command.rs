//! What is asked: a typed command, parsed and normalised once where the request arrived.
//!
//! Variants are encoded by position (bincode): add at the end, never remove or reorder.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::amount::{Amount, Change};
use crate::ids::{KeyHash, KeyNumber, RecordNumber};
use crate::phone::Phone;
use crate::text::{IdempotencyKey, Name, Note};

/// One wish, with who has it and under which key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The API key that acts, or [`crate::SYSTEM_ACTOR`].
    pub actor: KeyNumber,
    /// Names this command among those of its scope; a second one under it moves nothing.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What to do.
    pub action: Action,
}

/// The number of a cluster member.
pub type NodeNumber = u64;

/// Drawn when a data directory is made; a wiped node comes back with another.
pub type Incarnation = Uuid;

/// What to do. Sellers, keys, requests and charges are named by their record numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Begins the ledger; the first command, and applied once.
    Genesis(Genesis),
    /// Takes a new seller in.
    CreateSeller {
        /// Its name; several sellers may share one.
        name: Name,
    },
    /// Suspends a seller or lets it act again.
    SetSellerStatus {
        /// Which seller.
        seller: RecordNumber,
        /// The status from now on.
        status: SellerStatus,
    },
    /// Makes an API key.
    CreateKey {
        /// Its name, unique among active keys.
        name: Name,
        /// What it may do.
        grant: Grant,
        /// The hash of the secret, which stays where the request arrived. Not part of the content that is compared.
        hash: KeyHash,
    },
    /// Revokes an API key for ever.
    RevokeKey {
        /// Which key.
        key: KeyNumber,
    },
    /// Asks for more credit, for the seller whose key acts.
    RequestCredit {
        /// How much.
        amount: Amount,
        /// What the seller says of it.
        note: Note,
    },
    /// Approves or rejects a credit request.
    DecideCredit {
        /// Which request.
        request: RecordNumber,
        /// Which way.
        verdict: Verdict,
        /// What the admin says of it.
        reason: Note,
    },
    /// Corrects a seller's credit.
    Adjust {
        /// Which seller.
        seller: RecordNumber,
        /// By how much.
        amount: Change,
        /// Why.
        reason: Note,
    },
    /// Sells airtime, for the seller whose key acts.
    Charge {
        /// To which phone.
        phone: Phone,
        /// How much.
        amount: Amount,
    },
    /// Undoes a charge, whole.
    Reverse {
        /// Which charge.
        charge: RecordNumber,
        /// Why.
        reason: Note,
    },
    /// Binds a node's number to its data directory, at first contact.
    RegisterNode {
        /// The member's number.
        node: NodeNumber,
        /// Its data directory.
        incarnation: Incarnation,
    },
}

/// What is fixed for the whole life of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The cluster's id; it salts ids and key hashes.
    pub cluster: Uuid,
    /// The currency's name, as in `IRT`.
    pub currency: Name,
    /// Decimal places of an amount, 0 to 4.
    pub places: u8,
    /// How long an idempotency key is remembered, in milliseconds of ledger time.
    pub key_window_ms: u64,
    /// How many idempotency keys are remembered at most.
    pub keys_max: u64,
    /// The version of the rules, [`crate::RULES_VERSION`].
    pub rules: u32,
    /// The first admin key.
    pub admin_key: KeyHash,
}

/// Most decimal places of an amount. Source: the contract, section Money.
pub const MAX_PLACES: u8 = 4;

impl Genesis {
    /// Whether answers can be written and commands decided by it. What serde decodes need not be.
    pub fn is_sound(&self) -> bool {
        self.places <= MAX_PLACES
            && self.key_window_ms >= 1
            && self.keys_max >= 1
            && (1..=crate::RULES_VERSION).contains(&self.rules)
    }
}

/// Whether a seller may charge and ask for credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SellerStatus {
    /// It may.
    Active,
    /// It may not.
    Suspended,
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    /// Everything that is not a seller's own doing.
    Admin,
    /// Read all, write nothing.
    Auditor,
    /// One seller's own data and nothing else.
    Seller(RecordNumber),
}

/// The end of a credit request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The credit is allocated.
    Approved,
    /// It is not.
    Rejected,
}
