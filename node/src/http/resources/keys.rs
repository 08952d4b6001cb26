//! API keys: who may do what. The secret leaves the node once, in the answer to the key's creation.

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, post};
use etebar_api::{NewKey, Role};
use ledger::{Action, ApiKey, ApiKeyNumber, CreateKey, Grant, IdKind, RevokeKey};

use crate::http::app::App;
use crate::http::read::records::PIECE;
use crate::http::request::body::{self, Call, Faults};
use crate::http::request::cursor::List;
use crate::http::request::head::{Caller, Head};
use crate::http::request::secret;
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::reply;
use crate::http::{read, submit};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/keys", post(create).get(list)).route("/v1/keys/{id}", delete(revoke))
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
    let (Some(name), Some(grant)) = (name, grant) else { return Err(faults.problem()) };
    let grant = grant?;
    let text = secret::text(asked.role, &app.entropy.bytes().map_err(Problem::internal)?);
    let action = Action::CreateKey(CreateKey { name, grant, hash: secret::hash(&text) });
    submit::run_with_secret(&app, caller, key, action, Some(text), call.head.deadline).await
}

/// What the new key may do. The outer error is a body that contradicts itself, the inner one a seller that is not there.
fn grant_of(app: &App, asked: &NewKey<'_>) -> Result<Result<Grant, Problem>, &'static str> {
    match (asked.role, asked.seller_id) {
        (Role::Admin, None) => Ok(Ok(Grant::Admin)),
        (Role::Auditor, None) => Ok(Ok(Grant::Auditor)),
        (Role::Seller, Some(id)) => Ok(read::seller_number(app, id).map(Grant::Seller)),
        (Role::Seller, None) => Err("a seller's key names its seller"),
        (Role::Admin | Role::Auditor, Some(_)) => Err("only a seller's key names a seller"),
    }
}

/// `GET /v1/keys`: those in force.
async fn list(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_be_admin()?;
    let query = head.query(&["limit", "after"])?;
    let (list, limit) = (List::new("keys"), query.limit()?);
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let info = app.ledger_info()?;
    let (applied, (keys, next)) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, in_force(&replica.state, after, limit, |key| info.key(key)))
    };
    reply::json(applied, &list.page(keys, next))
}

/// Keys in force after `after`, and the number after which the list continues: where the page is full, or where as many
/// were read, revoked ones too, as are read under one lock.
fn in_force<T>(
    state: &ledger::State,
    after: ApiKeyNumber,
    limit: usize,
    shown: impl Fn(&ApiKey) -> T,
) -> (Vec<T>, Option<ApiKeyNumber>) {
    let mut keys = Vec::new();
    let mut last = None;
    for (number, key) in state.api_keys_after(after).take(PIECE) {
        if key.revoked_by.is_none() {
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
    let key = app.ledger_info()?.ids.number(IdKind::Key, head.id()?).ok_or_else(Problem::not_found)?;
    submit::run(&app, caller, None, Action::RevokeKey(RevokeKey { key }), head.deadline).await
}
