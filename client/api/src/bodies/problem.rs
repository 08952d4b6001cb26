//! Errors: every one is a [`Problem`] (RFC 9457) with a [`Code`] that programs match on.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::AmountOut;

/// What went wrong, as programs match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: a body, query or header is malformed; `errors` says where.
    InvalidRequest,
    /// 400: the command needs an `Idempotency-Key` header.
    IdempotencyKeyMissing,
    /// 401: no API key, an unknown one, or a revoked one.
    Unauthenticated,
    /// 403: the API key's role may not do it.
    Forbidden,
    /// 404: there is no such thing, or it is hidden from this API key.
    NotFound,
    /// 405: the path exists, with other methods.
    MethodNotAllowed,
    /// 409: the seller's balance is below the amount.
    InsufficientCredit,
    /// 409: the seller may not charge or request credit.
    SellerSuspended,
    /// 409: the opposite decision was taken before.
    CreditRequestDecided,
    /// 409: another command has reversed the charge.
    ChargeReversed,
    /// 409: a balance would exceed 10^15 minor units.
    LimitExceeded,
    /// 409: an active API key has this name.
    NameTaken,
    /// 409: without this key no admin key would be left.
    LastAdminKey,
    /// 409: another member of the cluster has one of the addresses.
    AddressTaken,
    /// 409: the learner has not caught up, so it cannot become a voter yet.
    MemberBehind,
    /// 409: without that member the others would be no majority.
    QuorumAtRisk,
    /// 409: the member cannot lead now; the detail says why, and what to do.
    CannotLead,
    /// 413: the body or the batch exceeds its limit.
    TooLarge,
    /// 415: the body is not `application/json`.
    UnsupportedMediaType,
    /// 429: the API key has used up its rate, or has too much long work on this node; `Retry-After` says when to try again.
    RateLimited,
    /// 422: the idempotency key stands for another command.
    IdempotencyKeyReused,
    /// 503: no leader is reachable now.
    NoLeader,
    /// 503: the node has no capacity for it now: a queue, the key table, connections, or time for long work.
    Overloaded,
    /// 503: the node did not reach the requested position in time.
    Behind,
    /// 503: not every node's build knows such a command yet.
    UpgradePending,
    /// 503: the ledger is on hold after a restore, until an admin opens it.
    OnHold,
    /// 507: the node has no disk space left.
    DiskFull,
    /// 504: the write may or may not be done.
    OutcomeUnknown,
    /// 500: a defect; nothing is half done.
    Internal,
}

impl Code {
    /// Every code, in the contract's order.
    pub const ALL: [Code; 29] = [
        Code::InvalidRequest,
        Code::IdempotencyKeyMissing,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::InsufficientCredit,
        Code::SellerSuspended,
        Code::CreditRequestDecided,
        Code::ChargeReversed,
        Code::LimitExceeded,
        Code::NameTaken,
        Code::LastAdminKey,
        Code::AddressTaken,
        Code::MemberBehind,
        Code::QuorumAtRisk,
        Code::CannotLead,
        Code::TooLarge,
        Code::UnsupportedMediaType,
        Code::RateLimited,
        Code::IdempotencyKeyReused,
        Code::NoLeader,
        Code::Overloaded,
        Code::Behind,
        Code::UpgradePending,
        Code::OnHold,
        Code::DiskFull,
        Code::OutcomeUnknown,
        Code::Internal,
    ];

    /// The code as it is written in `code`.
    pub fn as_str(self) -> &'static str {
        self.texts().0
    }

    /// The problem's `type`: `/problems/` and the code with dashes.
    pub fn type_path(self) -> &'static str {
        self.texts().1
    }

    /// The problem's `title`: the same for every problem of this code.
    pub fn title(self) -> &'static str {
        self.texts().2
    }

    fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Code::InvalidRequest => ("invalid_request", "/problems/invalid-request", "The request is not valid"),
            Code::IdempotencyKeyMissing => (
                "idempotency_key_missing",
                "/problems/idempotency-key-missing",
                "The Idempotency-Key header is missing",
            ),
            Code::Unauthenticated => ("unauthenticated", "/problems/unauthenticated", "No valid key was given"),
            Code::Forbidden => ("forbidden", "/problems/forbidden", "This key may not do that"),
            Code::NotFound => ("not_found", "/problems/not-found", "There is no such thing"),
            Code::MethodNotAllowed => {
                ("method_not_allowed", "/problems/method-not-allowed", "The method is not allowed here")
            }
            Code::InsufficientCredit => {
                ("insufficient_credit", "/problems/insufficient-credit", "The credit does not suffice")
            }
            Code::SellerSuspended => ("seller_suspended", "/problems/seller-suspended", "The seller is suspended"),
            Code::CreditRequestDecided => {
                ("credit_request_decided", "/problems/credit-request-decided", "The credit request was decided before")
            }
            Code::ChargeReversed => ("charge_reversed", "/problems/charge-reversed", "The charge was reversed before"),
            Code::LimitExceeded => ("limit_exceeded", "/problems/limit-exceeded", "A balance would exceed its limit"),
            Code::NameTaken => ("name_taken", "/problems/name-taken", "The name is taken"),
            Code::LastAdminKey => {
                ("last_admin_key", "/problems/last-admin-key", "The last admin key cannot be revoked")
            }
            Code::AddressTaken => ("address_taken", "/problems/address-taken", "The address is another node's"),
            Code::MemberBehind => ("member_behind", "/problems/member-behind", "The node has not caught up"),
            Code::QuorumAtRisk => {
                ("quorum_at_risk", "/problems/quorum-at-risk", "The other nodes would be no majority")
            }
            Code::CannotLead => ("cannot_lead", "/problems/cannot-lead", "The member cannot lead now"),
            Code::TooLarge => ("too_large", "/problems/too-large", "The request is too large"),
            Code::UnsupportedMediaType => {
                ("unsupported_media_type", "/problems/unsupported-media-type", "The body is not application/json")
            }
            Code::RateLimited => ("rate_limited", "/problems/rate-limited", "Too many requests"),
            Code::IdempotencyKeyReused => (
                "idempotency_key_reused",
                "/problems/idempotency-key-reused",
                "The idempotency key was used for something else",
            ),
            Code::NoLeader => ("no_leader", "/problems/no-leader", "No leader is known"),
            Code::Overloaded => ("overloaded", "/problems/overloaded", "The node has no room for more now"),
            Code::Behind => ("behind", "/problems/behind", "The node is behind the position asked for"),
            Code::UpgradePending => ("upgrade_pending", "/problems/upgrade-pending", "Not every node knows this yet"),
            Code::OnHold => ("on_hold", "/problems/on-hold", "The ledger is on hold"),
            Code::DiskFull => ("disk_full", "/problems/disk-full", "The disk is full"),
            Code::OutcomeUnknown => ("outcome_unknown", "/problems/outcome-unknown", "The outcome is unknown"),
            Code::Internal => ("internal", "/problems/internal", "The node has a defect"),
        }
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Code::InvalidRequest | Code::IdempotencyKeyMissing => 400,
            Code::Unauthenticated => 401,
            Code::Forbidden => 403,
            Code::NotFound => 404,
            Code::MethodNotAllowed => 405,
            Code::InsufficientCredit
            | Code::SellerSuspended
            | Code::CreditRequestDecided
            | Code::ChargeReversed
            | Code::LimitExceeded
            | Code::NameTaken
            | Code::LastAdminKey
            | Code::AddressTaken
            | Code::MemberBehind
            | Code::QuorumAtRisk
            | Code::CannotLead => 409,
            Code::TooLarge => 413,
            Code::UnsupportedMediaType => 415,
            Code::IdempotencyKeyReused => 422,
            Code::RateLimited => 429,
            Code::Internal => 500,
            Code::NoLeader | Code::Overloaded | Code::Behind | Code::UpgradePending | Code::OnHold => 503,
            Code::OutcomeUnknown => 504,
            Code::DiskFull => 507,
        }
    }

    /// Whether the same request under the same key can succeed later.
    pub fn retryable(self) -> bool {
        matches!(self.status(), 429 | 503 | 504 | 507)
            || matches!(self, Code::MemberBehind | Code::QuorumAtRisk | Code::CannotLead)
    }

    /// Whether it settles every attempt under its idempotency key: a decision that the ledger remembers does, and so does that
    /// the key stands for another command. All other codes are about one attempt, and an earlier one may have been done.
    pub fn settles_key(self) -> bool {
        matches!(self.status(), 409 | 422) && !self.is_of_members()
    }

    /// Whether it is about the members and not about the ledger, which remembers nothing of it.
    fn is_of_members(self) -> bool {
        matches!(self, Code::AddressTaken | Code::MemberBehind | Code::QuorumAtRisk | Code::CannotLead)
    }
}

/// One thing that is wrong with a body or a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, such as `/charges/17/phone`.
    pub pointer: String,
    /// What is wrong there, in a sentence for people.
    pub detail: String,
}

/// An error as a node answers with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// [`Code::type_path`].
    #[serde(rename = "type")]
    pub type_path: Cow<'static, str>,
    /// What programs match on.
    pub code: Code,
    /// [`Code::title`].
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// This case, in a sentence for people.
    pub detail: Cow<'static, str>,
    /// Whether the same request under the same key can succeed later.
    pub retryable: bool,
    /// The seller's balance, where it is below the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<AmountOut>,
    /// Every fault of an invalid request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Extension members (RFC 9457), by name.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// A problem with what its code says, and `detail` for this case.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem {
            type_path: Cow::Borrowed(code.type_path()),
            code,
            title: Cow::Borrowed(code.title()),
            status: code.status(),
            detail: detail.into(),
            retryable: code.retryable(),
            balance: None,
            errors: Vec::new(),
            members: Map::new(),
        }
    }

    /// The same with `balance`.
    #[must_use]
    pub fn with_balance(self, balance: AmountOut) -> Problem {
        Problem { balance: Some(balance), ..self }
    }

    /// The same with `errors`.
    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldError>) -> Problem {
        Problem { errors, ..self }
    }
}
