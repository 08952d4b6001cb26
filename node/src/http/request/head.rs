//! A request's head: the fields that handlers read, and who calls: a bearer key, hashed, looked up, turned into a [`Caller`].
//!
//! What a command may do is decided in the ledger, at its position; the checks here only refuse early what it would.
//! Reads are checked twice: on the table of API keys before the wait, and on the state that is shown.

use std::fmt::Display;
use std::net::IpAddr;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use etebar_api::{Code, IDEMPOTENCY_KEY, MIN_APPLIED};
use ledger::{ApiKeyHash, ApiKeyNumber, Grant, IdempotencyKey, NodeNumber, Origin, RULES_ROLES, RecordNumber, State};
use tokio::time::Instant;
use uuid::Uuid;

use super::answered::AnsweredRequest;
use super::query::{Query, whole_number};
use super::secret;
use crate::http::app::App;
use crate::http::response::problem::Problem;
use crate::raft::{Consistency, KnownKey};

/// The address at the other end of a request's connection, among the request's extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub IpAddr);

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    parts: Parts,
    parameter: Option<String>,
    /// When it must be answered.
    pub deadline: Instant,
}

impl FromRequest<App> for Head {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Self::new(request.into_parts().0, app).await
    }
}

impl Head {
    /// The head of a request that was just routed; its time-out begins now.
    pub(crate) async fn new(mut parts: Parts, app: &App) -> Result<Self, Problem> {
        let deadline = app.deadline();
        AnsweredRequest::has_route(&parts.extensions);
        // A segment that does not decode names nothing.
        let parameters = RawPathParams::from_request_parts(&mut parts, app).await.map_err(|_| Problem::not_found())?;
        let parameter = parameters.iter().next().map(|(_, value)| value.to_owned());
        Ok(Self { parts, parameter, deadline })
    }

    /// The other end of its connection.
    fn address(&self) -> Option<IpAddr> {
        self.parts.extensions.get::<ClientAddress>().map(|address| address.0)
    }

    /// The request's header fields.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The one variable segment of the path.
    pub(crate) fn parameter(&self) -> &str {
        self.parameter.as_deref().unwrap_or_default()
    }

    /// The id in the path. A text that is no id names nothing.
    pub(crate) fn id(&self) -> Result<Uuid, Problem> {
        Uuid::try_parse(self.parameter()).map_err(|_| Problem::not_found())
    }

    /// The node's number in the path. A text that is no number names nothing.
    pub(crate) fn node(&self) -> Result<NodeNumber, Problem> {
        whole_number(self.parameter()).ok_or_else(Problem::not_found)
    }

    /// The query, which may have the `known` parameters.
    pub(crate) fn query(&self, known: &[&str]) -> Result<Query<'_>, Problem> {
        Query::parse(self.parts.uri.query(), known)
    }

    /// The position that this node must have reached before it answers; a second value was refused before.
    pub(crate) fn min_applied(&self) -> Result<Option<u64>, Problem> {
        let Some(value) = self.headers().get(MIN_APPLIED) else { return Ok(None) };
        let position = value.to_str().ok().filter(|text| !text.is_empty()).and_then(whole_number);
        position.map(Some).ok_or_else(|| Problem::invalid("/Etebar-Min-Applied", "a position is a whole number"))
    }

    /// The idempotency key that this request must have.
    pub(crate) fn idempotency_key(&self) -> Result<IdempotencyKey, Problem> {
        required(self.idempotency_key_if_any()?)
    }

    /// The idempotency key that this request may have.
    pub(crate) fn idempotency_key_if_any(&self) -> Result<Option<IdempotencyKey>, Problem> {
        idempotency_key(self.headers())
    }
}

fn required(key: Option<IdempotencyKey>) -> Result<IdempotencyKey, Problem> {
    key.ok_or_else(|| Problem::new(Code::IdempotencyKeyMissing, "this request needs an Idempotency-Key header"))
}

/// Bare, or in the draft's quotes; both name the same key. What stands between the quotes is the key as it is: a
/// backslash in it is a character like any other.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let invalid = |detail: &dyn Display| Problem::invalid("/Idempotency-Key", detail);
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(&"the header is given more than once"));
    }
    let Ok(text) = value.to_str() else {
        return Err(invalid(&"an idempotency key has visible ASCII characters and no quote inside"));
    };
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    IdempotencyKey::new(bare).map(Some).map_err(|error| invalid(&error))
}

/// Longest key that is looked up, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// Who calls, as far as this node knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The key's record number.
    pub key: ApiKeyNumber,
    /// What it may do.
    pub grant: Grant,
    /// The other end of its connection; `None` for a request that came over none.
    address: Option<IpAddr>,
}

impl Caller {
    /// The caller whose key came with the request. Where this node does not know the key yet, it waits until it knows all
    /// that were made before. A position that the request names is waited for only once the key is known, so that
    /// unauthenticated requests cost nothing.
    pub(crate) async fn of(head: &Head, app: &App) -> Result<Self, Problem> {
        let (hash, address) = (secret::hash(bearer(head.headers())?), head.address());
        let caller = if let Some(caller) = Self::on_ring(app, &hash, address) {
            caller?
        } else {
            app.cluster.know_keys(head.deadline).await?;
            Self::on_ring(app, &hash, address)
                .unwrap_or_else(|| Err(Problem::unauthenticated("the key is not known")))?
        };
        let Some(position) = head.min_applied()? else { return Ok(caller) };
        app.cluster.read(Consistency::Local, Some(position), head.deadline).await?;
        // The key as of that position: it may have been revoked before it.
        Self::on_ring(app, &hash, address).unwrap_or(Ok(caller))
    }

    fn on_ring(app: &App, hash: &ApiKeyHash, address: Option<IpAddr>) -> Option<Result<Self, Problem>> {
        app.cluster.api_keys().by_hash(hash).map(|key| Self::known(app, key, address))
    }

    fn known(app: &App, key: &KnownKey, address: Option<IpAddr>) -> Result<Self, Problem> {
        AnsweredRequest::has_key(key.number);
        if key.revoked {
            return Err(Problem::unauthenticated("the key is revoked"));
        }
        if key.expires_at.is_some_and(|end| end <= app.cluster.ledger_time()) {
            return Err(Problem::unauthenticated("the key has expired"));
        }
        Ok(Self { key: key.number, grant: key.grant, address })
    }

    /// Where its commands come from, for those of anybody but a seller, once the ledger's rules have such origins.
    pub(crate) fn origin(&self, app: &App) -> Option<Box<Origin>> {
        if matches!(self.grant, Grant::Seller(_)) || app.cluster.replica().state.rules() < RULES_ROLES {
            return None;
        }
        self.address.map(|address| Box::new(Origin { node: app.cluster.node_number(), address }))
    }

    /// Refuses all but admins.
    pub(crate) fn must_be_admin(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin => Ok(()),
            Grant::Auditor | Grant::Approver { .. } | Grant::Operator | Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// Refuses all but admins and approvers.
    pub(crate) fn must_decide_credit(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Approver { .. } => Ok(()),
            Grant::Auditor | Grant::Operator | Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// Refuses all but admins and operators.
    pub(crate) fn must_operate(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Operator => Ok(()),
            Grant::Auditor | Grant::Approver { .. } | Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// Refuses all but admins and auditors.
    pub(crate) fn must_see_acts(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Auditor => Ok(()),
            Grant::Approver { .. } | Grant::Operator | Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// Refuses sellers: whether the books add up, and how full the ledger is, is for all others.
    pub(crate) fn must_see_sums(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Auditor | Grant::Approver { .. } | Grant::Operator => Ok(()),
            Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// Refuses sellers and operators.
    pub(crate) fn must_see_all(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Auditor | Grant::Approver { .. } => Ok(()),
            Grant::Operator | Grant::Seller(_) => Err(Problem::forbidden()),
        }
    }

    /// The seller that acts; refuses all but sellers.
    pub(crate) fn must_be_seller(&self) -> Result<RecordNumber, Problem> {
        match self.grant {
            Grant::Seller(seller) => Ok(seller),
            Grant::Admin | Grant::Auditor | Grant::Approver { .. } | Grant::Operator => Err(Problem::forbidden()),
        }
    }

    /// Refuses to show another seller's resources: they are not found, so that nothing shows that they exist.
    pub(crate) fn must_see(&self, seller: RecordNumber) -> Result<(), Problem> {
        match self.grant {
            Grant::Admin | Grant::Auditor | Grant::Approver { .. } => Ok(()),
            Grant::Operator => Err(Problem::forbidden()),
            Grant::Seller(own) if own == seller => Ok(()),
            Grant::Seller(_) => Err(Problem::not_found()),
        }
    }

    /// Refuses a key that is revoked or has expired in the state that is shown.
    pub(crate) fn must_hold_in(&self, state: &State) -> Result<(), Problem> {
        match state.api_key(self.key) {
            Some(key) if key.is_valid_at(state.time()) => Ok(()),
            Some(_) | None => Err(Problem::unauthenticated("the key is revoked or has expired")),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::unauthenticated("give one key as Authorization: Bearer KEY"));
    };
    bearer_of(value).ok_or_else(|| Problem::unauthenticated("give the key as Authorization: Bearer KEY"))
}

fn bearer_of(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    let key = key.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty() && key.len() <= KEY_BYTES_MAX).then_some(key)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&'static str]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(value));
        }
        idempotency_key(&headers).map(|key| key.map(String::from)).map_err(|problem| problem.body().code)
    }

    #[test]
    fn bare_and_quoted_name_the_same_key() {
        assert_eq!(read(&["k-1"]), Ok(Some("k-1".into())));
        assert_eq!(read(&["\"k-1\""]), Ok(Some("k-1".into())));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let too_long: &'static str = Box::leak("x".repeat(65).into_boxed_str());
        for values in [&[""][..], &["\"\""], &["a", "a"], &["a\"b"], &["\"a"], &["a b"], &["\""], &[too_long]] {
            assert_eq!(read(values), Err(Code::InvalidRequest), "{values:?}");
        }
        let longest: &'static str = Box::leak("x".repeat(64).into_boxed_str());
        assert_eq!(read(&[longest]), Ok(Some(longest.into())));
    }

    #[test]
    fn a_missing_key_has_its_own_code() {
        let problem = required(None).expect_err("no key was given");
        assert_eq!(problem.body().code, Code::IdempotencyKeyMissing);
    }

    #[test]
    fn a_bearer_key_is_read_whatever_the_scheme_is_spelled_like() {
        for value in ["Bearer etb_x", "bearer etb_x", "BEARER  etb_x"] {
            assert_eq!(bearer_of(&HeaderValue::from_static(value)), Some("etb_x"), "{value}");
        }
        for value in ["etb_x", "Bearer", "Bearer ", "Basic etb_x", ""] {
            assert_eq!(bearer_of(&HeaderValue::from_static(value)), None, "{value}");
        }
    }
}
