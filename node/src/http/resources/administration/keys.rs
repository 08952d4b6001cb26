//! API keys: who may do what. The secret leaves the node once, in the answer to the key's creation.

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, post};
use etebar_api::{NewKey, NewRotation, OVERLAP_MAX_S, OVERLAP_S, Role, Timestamp};
use ledger::{
    Action, Amount, ApiKey, ApiKeyNumber, CreateExpiringKey, CreateKey, Grant, IdKind, RevokeKey, RotateKey, Time,
};

use crate::http::app::App;
use crate::http::read::records::PIECE;
use crate::http::request::body::{self, Call, Faults};
use crate::http::request::cursor::List;
use crate::http::request::head::{Caller, Head};
use crate::http::request::secret;
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::{render, reply};
use crate::http::{read, submit};
use crate::raft::Consistency;

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/keys", post(create).get(list))
        .route("/v1/keys/{id}", delete(revoke))
        .route("/v1/keys/{id}/rotate", post(rotate))
}

/// `POST /v1/keys`
async fn create(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let key = call.head.idempotency_key_if_any()?;
    let body = call.json(&app, caller.key).await?;
    let asked: NewKey<'_> = body.parse()?;
    let mut faults = Faults::default();
    let name = faults.at(|| "/name".into(), body::name(&asked.name));
    let grant = faults.at(|| "/seller_id".into(), grant_of(&app, &asked));
    let expires_at = faults.at(|| "/expires_at".into(), end(&app, asked.expires_at));
    let (Some(name), Some(grant), Some(expires_at)) = (name, grant, expires_at) else { return Err(faults.problem()) };
    let grant = grant?;
    let text = secret::text(asked.role, &app.entropy.bytes().map_err(Problem::internal)?);
    let key_asked = CreateKey { name, grant, hash: secret::hash(&text) };
    let action = match expires_at {
        None => Action::CreateKey(key_asked),
        Some(expires_at) => Action::CreateExpiringKey(CreateExpiringKey { key: key_asked, expires_at }),
    };
    submit::run_with_secret(&app, caller, key, action, Some(text), call.head.deadline).await
}

/// What the new key may do. The outer error is a body that contradicts itself, the inner one a seller that is not there.
fn grant_of(app: &App, asked: &NewKey<'_>) -> Result<Result<Grant, Problem>, &'static str> {
    if asked.limit.is_some() && asked.role != Role::Approver {
        return Err("only an approver's key has a limit");
    }
    match (asked.role, asked.seller_id) {
        (Role::Admin, None) => Ok(Ok(Grant::Admin)),
        (Role::Auditor, None) => Ok(Ok(Grant::Auditor)),
        (Role::Operator, None) => Ok(Ok(Grant::Operator)),
        (Role::Approver, None) => Ok(limit(app, asked).map(|limit| Grant::Approver { limit })),
        (Role::Seller, Some(id)) => Ok(read::seller_number(app, id).map(Grant::Seller)),
        (Role::Seller, None) => Err("a seller's key names its seller"),
        (Role::Admin | Role::Auditor | Role::Approver | Role::Operator, Some(_)) => {
            Err("only a seller's key names a seller")
        }
    }
}

/// The most that one approval of an approver's key allocates.
fn limit(app: &App, asked: &NewKey<'_>) -> Result<Option<Amount>, Problem> {
    let Some(limit) = asked.limit else { return Ok(None) };
    let decimals = app.ledger_info()?.decimals;
    body::amount(limit, decimals).map(Some).map_err(|error| Problem::invalid("/limit", error))
}

/// The end of a new key, which must be to come.
fn end(app: &App, asked: Option<Timestamp>) -> Result<Option<Time>, String> {
    let Some(end) = asked.map(|end| Time(end.0)) else { return Ok(None) };
    let now = app.cluster.ledger_time();
    if end > now {
        return Ok(Some(end));
    }
    Err(format!("it is {} in ledger time: a key ends later than that", render::timestamp(now)))
}

/// `POST /v1/keys/{id}/rotate`
async fn rotate(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    let idempotency_key = call.head.idempotency_key_if_any()?;
    let key = number(&app, &call.head)?;
    let body = call.json_if_any(&app, caller.key).await?;
    let asked: NewRotation = body.parse_or_default()?;
    let overlap = asked.overlap_seconds.unwrap_or(OVERLAP_S);
    let mut faults = Faults::default();
    let overlap_ms = faults.at(
        || "/overlap_seconds".into(),
        if overlap <= OVERLAP_MAX_S { Ok(overlap * 1_000) } else { Err(format!("at most {OVERLAP_MAX_S} seconds")) },
    );
    let expires_at = faults.at(|| "/expires_at".into(), end(&app, asked.expires_at));
    let (Some(overlap_ms), Some(expires_at)) = (overlap_ms, expires_at) else { return Err(faults.problem()) };
    let role = read_role(&app, &caller, &call.head, key).await?;
    let text = secret::text(role, &app.entropy.bytes().map_err(Problem::internal)?);
    let action = Action::RotateKey(RotateKey { key, hash: secret::hash(&text), overlap_ms, expires_at });
    submit::run_with_secret(&app, caller, idempotency_key, action, Some(text), call.head.deadline).await
}

/// The role of a key, which its secret begins with.
async fn read_role(app: &App, caller: &Caller, head: &Head, key: ApiKeyNumber) -> Result<Role, Problem> {
    app.cluster.read(Consistency::Linearizable, None, head.deadline).await?;
    let replica = read::state(app, caller)?;
    let key = replica.state.api_key(key).ok_or_else(Problem::not_found)?;
    Ok(render::role(key.grant).0)
}

/// `GET /v1/keys`: those in force.
async fn list(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_be_admin()?;
    let query = head.query(&["limit", "after"])?;
    let (list, limit) = (List::new("keys"), query.limit()?);
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let (info, now) = (app.ledger_info()?, app.cluster.ledger_time());
    let (applied, (keys, next)) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, in_force(&replica.state, after, limit, now, |key| info.key(key)))
    };
    reply::json(applied, &list.page(keys, next))
}

/// Keys in force after `after`, and the number after which the list continues: where the page is full, or where as many
/// were read, revoked ones too, as are read under one lock.
fn in_force<T>(
    state: &ledger::State,
    after: ApiKeyNumber,
    limit: usize,
    now: Time,
    shown: impl Fn(&ApiKey) -> T,
) -> (Vec<T>, Option<ApiKeyNumber>) {
    let mut keys = Vec::new();
    let mut last = None;
    for (number, key) in state.api_keys_after(after).take(PIECE) {
        if key.is_valid_at(now) {
            if keys.len() == limit {
                return (keys, last);
            }
            keys.push(shown(key));
        }
        last = Some(*number);
    }
    let is_end = last.is_none_or(|last| state.api_keys_after(last).next().is_none());
    (keys, last.filter(|_| !is_end))
}

/// `DELETE /v1/keys/{id}`
async fn revoke(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_be_admin()?;
    let key = number(&app, &head)?;
    submit::run(&app, caller, None, Action::RevokeKey(RevokeKey { key }), head.deadline).await
}

fn number(app: &App, head: &Head) -> Result<ApiKeyNumber, Problem> {
    app.ledger_info()?.ids.number(IdKind::Key, head.id()?).ok_or_else(Problem::not_found)
}
