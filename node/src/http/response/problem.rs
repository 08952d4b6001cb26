//! Error answers: every one is `application/problem+json`, with the header fields that its code demands.
//!
//! A handler returns [`Answer`]; a recorded decision is rendered in [`super::render`], not here.

use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use etebar_api as api;
use etebar_api::{Code, FieldError};
use ledger::Rejection;
use tracing::error;

use crate::raft::{AuditBehind, ChangeError, LeadError, ReadError, SubmitError};

/// What a handler returns.
pub(crate) type Answer = Result<Response<Body>, Problem>;

/// Seconds after which a refused request may be tried again. Source: the longest election takes less than two seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");
/// Seconds after which a write to a ledger on hold may be tried again: it waits for a person.
const RETRY_OPENED_S: HeaderValue = HeaderValue::from_static("30");
/// What a caller is told whose write came while the ledger is on hold.
const ON_HOLD: &str =
    "the ledger was restored and is on hold until an admin opens it (`etebar cluster open`); nothing was done";
/// Most errors that one answer lists.
pub(crate) const ERRORS_MAX: usize = 100;

/// An error answer.
#[derive(Debug, Clone)]
pub struct Problem(Box<api::Problem>);

impl Problem {
    /// An error with the status and title of its code, and `detail` for this case.
    pub fn new(code: Code, detail: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self(Box::new(api::Problem::new(code, detail)))
    }

    /// The request has one error, at the JSON pointer `pointer`.
    pub fn invalid(pointer: impl Into<String>, detail: impl Display) -> Self {
        Self::invalid_all(vec![FieldError { pointer: pointer.into(), detail: detail.to_string() }])
    }

    /// The request has these errors.
    pub fn invalid_all(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => only.detail.clone(),
            [only] => format!("{}: {}", only.pointer, only.detail),
            many => format!("{} values are not valid", many.len()),
        };
        Self(Box::new(api::Problem::new(Code::InvalidRequest, detail).with_errors(errors)))
    }

    /// No key, or none that is known and not revoked.
    pub fn unauthenticated(detail: &'static str) -> Self {
        Self::new(Code::Unauthenticated, detail)
    }

    /// The key's role does not permit it.
    pub fn forbidden() -> Self {
        Self::new(Code::Forbidden, "the key's role does not allow this")
    }

    /// Nothing is there, or nothing that the caller may see.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "nothing is found under this address")
    }

    /// A defect of the node: logged in full for the operator, not shown to the caller.
    pub fn internal(defect: impl Display) -> Self {
        error!(%defect, "request failed");
        Self::new(
            Code::Internal,
            "internal error; the request was done completely or not at all, which of them is not known",
        )
    }

    /// The body as it is sent.
    pub fn body(&self) -> &api::Problem {
        &self.0
    }
}

impl From<api::Problem> for Problem {
    fn from(problem: api::Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::NoLeader => Self::new(Code::NoLeader, detail),
            SubmitError::Overloaded { .. } => Self::new(Code::Overloaded, detail),
            SubmitError::DiskFull => Self::new(Code::DiskFull, detail),
            SubmitError::OutcomeUnknown { .. } => Self::new(
                Code::OutcomeUnknown,
                format!("{detail}; it may have been done; the same request under the same key returns the outcome"),
            ),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::NoLeader => Self::new(Code::NoLeader, detail),
            ReadError::Behind { .. } => Self::new(Code::Behind, detail),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match error {
            ChangeError::NotRead(error) => error.into(),
            ChangeError::NotSubmitted(error) => error.into(),
            ChangeError::UpgradePending { .. } => Self::new(Code::UpgradePending, detail),
            ChangeError::UnknownNode(_) => Self::new(Code::NotFound, detail),
            ChangeError::AddressTaken => Self::new(Code::AddressTaken, detail),
            ChangeError::MemberBehind(_) => Self::new(Code::MemberBehind, detail),
            ChangeError::QuorumAtRisk(_) => Self::new(Code::QuorumAtRisk, detail),
            ChangeError::Rejected(why) => rejection(why).unwrap_or_else(|refusal| {
                Self::internal(format_args!("a change of the members was refused: {refusal:?}"))
            }),
            ChangeError::NotCarriedOut { .. } => Self::new(Code::OutcomeUnknown, detail),
        }
    }
}

impl From<LeadError> for Problem {
    fn from(error: LeadError) -> Self {
        let detail = error.to_string();
        match error {
            LeadError::NoLeader => Self::new(Code::NoLeader, detail),
            LeadError::UnknownMember(_) => Self::new(Code::NotFound, detail),
            LeadError::Behind { .. } => Self::new(Code::MemberBehind, detail),
            LeadError::CannotLead(_) => Self::new(Code::CannotLead, detail),
            LeadError::OutcomeUnknown { .. } => Self::new(
                Code::OutcomeUnknown,
                format!("{detail}; it may lead now, or soon; the same request again returns once it does"),
            ),
        }
    }
}

impl From<AuditBehind> for Problem {
    fn from(error: AuditBehind) -> Self {
        Self::new(Code::Behind, error.to_string())
    }
}

/// What a person cannot do alone.
const FOUR_EYES: &str = "four eyes: credit that you ask for is approved by somebody else, so file a credit request for the \
                         seller and have another key approve it";

/// A rejection, which leaves no record, as the caller sees it. The error is a refusal by the state, which is rendered like
/// a recorded one.
pub(crate) fn rejection(rejection: Rejection) -> Result<Problem, ledger::Refusal> {
    Ok(match rejection {
        Rejection::KeyRevoked => Problem::unauthenticated("the key is revoked"),
        Rejection::KeyExpired => Problem::unauthenticated("the key has expired"),
        Rejection::Forbidden => Problem::forbidden(),
        Rejection::OverLimit => {
            Problem::new(Code::Forbidden, "the amount is over this key's limit: another key has to approve it")
        }
        Rejection::FourEyes => Problem::new(Code::Forbidden, FOUR_EYES),
        Rejection::UnknownSeller
        | Rejection::UnknownKey
        | Rejection::UnknownRequest
        | Rejection::UnknownCharge
        | Rejection::UnknownNode => Problem::not_found(),
        Rejection::KeyReused => {
            Problem::new(Code::IdempotencyKeyReused, "the idempotency key stands for another command")
        }
        Rejection::NotYet => {
            Problem::new(Code::UpgradePending, "not every node's build knows this command yet: upgrade all of them")
        }
        Rejection::OnHold => Problem::new(Code::OnHold, ON_HOLD),
        Rejection::Conflict(refusal) => return Err(refusal),
        Rejection::OutOfPlace
        | Rejection::Inconsistent
        | Rejection::SecretTaken
        | Rejection::Malformed
        | Rejection::UnknownRules => Problem::internal(format_args!("the ledger refused a command as {rejection:?}")),
    })
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let Ok(status) = StatusCode::from_u16(self.0.status) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(api::PROBLEM_JSON));
        match self.0.code {
            Code::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::RateLimited | Code::NoLeader | Code::Overloaded | Code::Behind | Code::UpgradePending => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_S);
            }
            Code::OnHold => {
                headers.insert(header::RETRY_AFTER, RETRY_OPENED_S);
            }
            Code::InvalidRequest
            | Code::IdempotencyKeyMissing
            | Code::Forbidden
            | Code::NotFound
            | Code::MethodNotAllowed
            | Code::InsufficientCredit
            | Code::SellerSuspended
            | Code::CreditRequestDecided
            | Code::ChargeReversed
            | Code::LimitExceeded
            | Code::NameTaken
            | Code::LastAdminKey
            | Code::AddressTaken
            | Code::MemberBehind
            | Code::QuorumAtRisk
            | Code::CannotLead
            | Code::TooLarge
            | Code::UnsupportedMediaType
            | Code::IdempotencyKeyReused
            | Code::DiskFull
            | Code::OutcomeUnknown
            | Code::Internal => {}
        }
        response
    }
}
