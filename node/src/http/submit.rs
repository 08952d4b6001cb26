//! How a command is done: submitted, decided, and its decision rendered for the caller.
//!
//! The whole way of one: `run` makes the command, `run_group` takes it from the caller's rate, `Cluster::submit` brings it to
//! the leader, where it becomes part of a log entry; every node decides it (`ledger::decide`) when the entry is committed;
//! here the decision, with its record, comes back and `recorded` renders it. What each of the handlers does before is in
//! `resources`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use etebar_api as api;
use etebar_api::Code;
use ledger::{Action, Command, Event, IdempotencyKey, Record, Rejection};
use tokio::time::Instant;

use super::app::App;
use super::read::records;
use super::request::head::Caller;
use super::response::problem::{Answer, Problem, rejection};
use super::response::render::{self, LedgerInfo, Rendered};
use super::response::reply;
use crate::raft::{Consistency, Decided, Decisions, SubmitError};

/// Commands that are looked up under one lock of the state: a fraction of a millisecond.
const LOOK_UP: usize = 256;

/// Has `commands` decided as one group, in order, within the key's rate; `answered` makes the answer of the decisions.
/// While a rate is set, every answer shows what is left of it.
pub(crate) async fn run_group<A>(
    app: &App,
    caller: Caller,
    commands: Vec<Command>,
    deadline: Instant,
    answered: impl FnOnce(Decisions) -> A,
) -> Answer
where
    A: Future<Output = Answer>,
{
    let Some(meter) = app.quotas.rates.as_ref().map(|rates| rates.meter(caller.key)) else {
        return answered(submit(app, commands, deadline).await?).await;
    };
    let taken = match meter.take(commands.len(), || are_decided(app, &commands)) {
        Ok(taken) => taken,
        Err(wait) => return Ok(meter.refused(wait)),
    };
    let decided = submit(app, commands, deadline).await;
    meter.settle(taken, decided.as_ref().map_or(&[], |decisions| &decisions.outcomes));
    let answer = match decided {
        Ok(decisions) => answered(decisions).await,
        Err(problem) => Err(problem),
    };
    Ok(meter.shown(answer))
}

/// Whether all of these seem to be decided already, as far as this node knows.
fn are_decided(app: &App, commands: &[Command]) -> bool {
    let now = app.cluster.ledger_time();
    commands.chunks(LOOK_UP).all(|piece| {
        let replica = app.cluster.replica();
        piece.iter().all(|command| command.seems_decided(&replica.state, now))
    })
}

async fn submit(app: &App, commands: Vec<Command>, deadline: Instant) -> Result<Decisions, Problem> {
    // What this node forwards to the leader comes back to its own disk.
    if app.cluster.is_disk_full() {
        return Err(SubmitError::DiskFull.into());
    }
    let count = commands.len();
    let decisions = app.cluster.submit(commands, deadline).await?;
    if decisions.outcomes.len() != count {
        return Err(Problem::internal("a group of commands came back with another number of decisions"));
    }
    Ok(decisions)
}

/// Has one command decided, and answers with the decision.
pub(crate) async fn run(
    app: &App,
    caller: Caller,
    key: Option<IdempotencyKey>,
    action: Action,
    deadline: Instant,
) -> Answer {
    run_with_secret(app, caller, key, action, None, deadline).await
}

/// The same for a command that makes a key, whose first answer shows the secret.
pub(crate) async fn run_with_secret(
    app: &App,
    caller: Caller,
    key: Option<IdempotencyKey>,
    action: Action,
    secret: Option<String>,
    deadline: Instant,
) -> Answer {
    let info = app.ledger_info()?;
    let command = Command { actor: caller.key, idempotency_key: key, origin: caller.origin(app), action };
    run_group(app, caller, vec![command], deadline, |decisions| answered(app, info, decisions, secret, deadline)).await
}

async fn answered(
    app: &App,
    info: LedgerInfo,
    decisions: Decisions,
    secret: Option<String>,
    deadline: Instant,
) -> Answer {
    let Decisions { position, mut outcomes } = decisions;
    match outcomes.pop() {
        Some(Decided::Recorded { record, replayed }) => {
            // This node may have proposed the command twice itself: the answer is a first one where the secret is this one.
            let secret = secret.filter(|secret| is_secret_of(secret, &record));
            let replayed = replayed && secret.is_none();
            recorded(app, &info, &record, replayed, secret, position, deadline).await
        }
        Some(Decided::NotRecorded(why)) => Ok(not_recorded(&info, why, position)),
        None => Err(Problem::internal("a command came back without a decision")),
    }
}

fn is_secret_of(secret: &str, record: &Record) -> bool {
    let hash = match &record.event {
        Event::KeyCreated(made) => made.hash,
        Event::ExpiringKeyCreated(made) => made.key.hash,
        Event::KeyRotated(rotated) => rotated.hash,
        _ => return false,
    };
    hash == super::request::secret::hash(secret)
}

/// A decision that left no record, as of the position where it was made.
fn not_recorded(info: &LedgerInfo, why: Rejection, position: u64) -> Response {
    let problem = rejection(why).unwrap_or_else(|refusal| render::refusal(info, refusal).into());
    let mut response = problem.into_response();
    reply::at(&mut response, position);
    response
}

async fn recorded(
    app: &App,
    info: &LedgerInfo,
    record: &Record,
    replayed: bool,
    secret: Option<String>,
    position: u64,
    deadline: Instant,
) -> Answer {
    let (status, body) = match render::decision(info, record, secret) {
        Some(Rendered::Whole(status, body)) => (status, Some(body)),
        Some(Rendered::Verdict) => {
            let actor = actor_name(app, record, position, deadline).await?;
            (StatusCode::OK, render::verdict(info, record, &actor))
        }
        Some(Rendered::Entry) => {
            let actor = actor_name(app, record, position, deadline).await?;
            caught_up(app, position, deadline).await?;
            let digest = records::entry_digest(app, record.number).await?;
            (StatusCode::CREATED, render::entry_made(info, record, &actor, &digest))
        }
        None => return Err(Problem::internal(format_args!("record {} answers no request", record.number))),
    };
    let body = body.ok_or_else(|| Problem::internal(format_args!("record {} was not rendered", record.number)))?;
    let mut response = reply::bytes_of(status, position, body);
    if status == StatusCode::CONFLICT {
        let problem = HeaderValue::from_static(api::PROBLEM_JSON);
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
    }
    if replayed {
        reply::replayed(&mut response);
    }
    Ok(response)
}

/// The name of the key that acted.
async fn actor_name(app: &App, record: &Record, position: u64, deadline: Instant) -> Result<String, Problem> {
    if let Some(key) = app.cluster.api_keys().by_number(record.actor) {
        return Ok(key.name.as_str().to_owned());
    }
    caught_up(app, position, deadline).await?;
    match app.cluster.api_keys().by_number(record.actor) {
        Some(key) => Ok(key.name.as_str().to_owned()),
        None => Err(Problem::internal(format_args!("the actor of record {} has no key", record.number))),
    }
}

/// Waits until this node has applied the decision. Where that takes too long the decision stands, but cannot be shown.
async fn caught_up(app: &App, position: u64, deadline: Instant) -> Result<(), Problem> {
    let reached = app.cluster.read(Consistency::Local, Some(position), deadline).await;
    reached.map_err(|error| {
        let detail = format!("{error}; it was decided; the same request under the same key returns the decision");
        Problem::new(Code::OutcomeUnknown, detail)
    })
}
