//! Administrative acts: what anybody but a seller did, and the policy that they act by.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AmountOut, Code, Role, Timestamp};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActKind {
    /// The ledger was bootstrapped.
    LedgerCreated,
    /// A seller was created.
    SellerCreated,
    /// A seller was suspended.
    SellerSuspended,
    /// A seller may act again.
    SellerActivated,
    /// An API key was made.
    KeyCreated,
    /// An API key was rotated.
    KeyRotated,
    /// An API key was revoked.
    KeyRevoked,
    /// Credit was asked for on a seller's behalf.
    CreditRequested,
    /// A credit request was approved.
    CreditApproved,
    /// A credit request was rejected.
    CreditRejected,
    /// A seller's credit was corrected.
    Adjusted,
    /// A charge was undone.
    ChargeReversed,
    /// A node was added.
    MemberAdded,
    /// A node was given a vote.
    MemberPromoted,
    /// A node was removed.
    MemberRemoved,
    /// The ledger goes by newer rules.
    RulesRaised,
    /// The ledger went on as a new cluster, after a restore or a recovery.
    EpochBegun,
    /// The hold of a new cluster was ended.
    LedgerOpened,
    /// A backup was verified.
    BackupVerified,
    /// The policy was set.
    PolicySet,
}

/// One administrative act: who, when, from where, and what. Fields that an act of its kind does not have are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The number of its decision.
    pub record: u64,
    /// In ledger time.
    pub created_at: Timestamp,
    /// Name of the key that acted; `etebar` for the cluster itself.
    pub actor: String,
    /// The node that received the request; `None` for the cluster itself.
    pub node: Option<u64>,
    /// The address that the request came from: a proxy's, where there is one between.
    pub address: Option<IpAddr>,
    /// What was done, or asked.
    pub kind: ActKind,
    /// Why the ledger refused it, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Code>,
    /// The seller that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<Uuid>,
    /// The API key that it made, replaced or revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Uuid>,
    /// The credit request that it filed or decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_request_id: Option<Uuid>,
    /// The charge that it undid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_id: Option<Uuid>,
    /// The journal entry that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// The amount that it asked for or moved, as it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<AmountOut>,
    /// The name of the seller or the key that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The role of the key that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The reason or the note that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The member that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<u64>,
    /// Whether the policy that it set has four eyes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub four_eyes: Option<bool>,
}

/// `GET /v1/policy`, and what `POST /v1/policy` sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whoever files a credit request on a seller's behalf does not approve it, and no adjustment adds credit.
    pub four_eyes: bool,
}
