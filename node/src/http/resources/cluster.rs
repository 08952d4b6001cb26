//! The cluster as this node sees it, and this replica's digest, neither of which asks another node; and who shall lead it.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use etebar_api as api;
use etebar_api::Code;
use ledger::{Action, Command, Digest, NoteBackup, OpenLedger};
use tokio::time::Instant;

use crate::http::app::App;
use crate::http::read;
use crate::http::request::body::{Call, nothing_but_an_empty_object};
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem, rejection};
use crate::http::response::{render, reply};
use crate::raft::{BuildName, ClockHealth, Consistency, MemberStage, MemberStatus, VotingRole};
use crate::storage::{Decided, Decisions};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/cluster", get(show))
        .route("/v1/cluster/digest", get(digest))
        .route("/v1/cluster/leader", post(lead))
        .route("/v1/cluster/open", post(open))
        .route("/v1/cluster/backups", post(note_backup))
}

/// `GET /v1/cluster`
async fn show(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    head.query(&[])?.consistency()?;
    read::local(&app, &head).await?;
    status(&app, &caller)
}

/// `POST /v1/cluster/leader`
async fn lead(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_operate()?;
    let body = call.json(&app, caller.key).await?;
    let api::NewLeader { id } = body.parse()?;
    // No command of the ledger checks the key again, so this node has to have applied all that may have revoked it.
    app.cluster.read(Consistency::Linearizable, call.head.min_applied()?, call.head.deadline).await?;
    drop(read::state(&app, &caller)?);
    app.cluster.lead(id, call.head.deadline).await?;
    status(&app, &caller)
}

/// `POST /v1/cluster/open`
async fn open(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_admin()?;
    nothing_but_an_empty_object(&call.json_if_any(&app, caller.key).await?)?;
    app.cluster.read(Consistency::Linearizable, call.head.min_applied()?, call.head.deadline).await?;
    let (epoch, is_on_hold) = {
        let replica = read::state(&app, &caller)?;
        (replica.state.epoch(), replica.state.is_on_hold())
    };
    if is_on_hold {
        decided(&app, &caller, Action::OpenLedger(OpenLedger { epoch }), call.head.deadline).await?;
    }
    status(&app, &caller)
}

/// `POST /v1/cluster/backups`
async fn note_backup(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_operate()?;
    let body = call.json(&app, caller.key).await?;
    let api::NewBackup { records, digest } = body.parse()?;
    let Some(digest) = Digest::from_hex(&digest) else {
        return Err(Problem::invalid("/digest", "a digest has 64 hexadecimal digits"));
    };
    app.cluster.read(Consistency::Linearizable, call.head.min_applied()?, call.head.deadline).await?;
    let held = read::state(&app, &caller)?.state.records();
    if !(1..=held).contains(&records) {
        return Err(Problem::invalid("/records", format_args!("a backup of this ledger has 1 to {held} records now")));
    }
    decided(&app, &caller, Action::NoteBackup(NoteBackup { records, digest }), call.head.deadline).await?;
    status(&app, &caller)
}

/// Has a command about the ledger as a whole decided, and waits until this node shows it.
async fn decided(app: &App, caller: &Caller, action: Action, deadline: Instant) -> Result<(), Problem> {
    let command = Command { actor: caller.key, idempotency_key: None, origin: caller.origin(app), action };
    let Decisions { position, mut outcomes } = app.cluster.submit(vec![command], deadline).await?;
    match outcomes.pop() {
        Some(Decided::Recorded { .. }) => {}
        Some(Decided::NotRecorded(why)) => {
            return Err(
                rejection(why).unwrap_or_else(|refusal| Problem::internal(format_args!("refused: {refusal:?}")))
            );
        }
        None => return Err(Problem::internal("a command came back without a decision")),
    }
    Ok(app.cluster.read(Consistency::Local, Some(position), deadline).await?)
}

/// The cluster as this node sees it.
fn status(app: &App, caller: &Caller) -> Answer {
    let audited = app.cluster.audit_progress();
    let (key_window_ms, ledger_id, newest, keys, recovery) = {
        let replica = read::state(app, caller)?;
        let fixed = replica.state.genesis().map(|genesis| genesis.key_window_ms);
        let keys = caller.must_see_sums().ok().and_then(|()| keys(&replica.state));
        let last_backup = caller.must_see_sums().ok().and_then(|()| replica.state.last_backup());
        let recovery = (fixed.map(|_| replica.state.epoch()), replica.state.is_on_hold(), last_backup);
        (fixed, fixed.map(|_| replica.state.ledger_id()), replica.state.entries(), keys, recovery)
    };
    let (epoch, is_on_hold, last_backup) = recovery;
    let last_backup = last_backup
        .map(|backup| api::LastBackup { verified_at: render::timestamp(backup.at), records: backup.records });
    let status = app.cluster.status();
    let shown = api::ClusterStatus {
        leader: status.leader,
        term: status.term,
        nodes: status.members.iter().map(|each| node(each, app.scheme())).collect(),
        applied: status.applied,
        version: BuildName::OWN.as_str().to_owned(),
        rules: Some(status.rules),
        key_window_seconds: key_window_ms.map(|window| window / 1_000),
        ledger_id,
        clock: Some(clock(status.clock)),
        audited: Some(api::AuditProgress { entries: audited.entries, head: newest, consistent: audited.is_consistent }),
        keys,
        epoch,
        on_hold: Some(is_on_hold),
        last_backup,
    };
    reply::json(status.applied, &shown)
}

/// How many idempotency keys a state remembers. What the fullest seller holds is not for other sellers to know.
fn keys(state: &ledger::State) -> Option<api::KeysHeld> {
    let max = state.genesis()?.keys_max;
    Some(api::KeysHeld { held: state.keys_held(), max, fullest_share: state.keys_fullest_share() })
}

fn clock(health: ClockHealth) -> api::ClockHealth {
    match health {
        ClockHealth::Agrees => api::ClockHealth::Agrees,
        ClockHealth::Alone => api::ClockHealth::Alone,
        ClockHealth::Differs => api::ClockHealth::Differs,
        ClockHealth::Off { .. } => api::ClockHealth::Off,
        ClockHealth::NotFollowed { .. } => api::ClockHealth::NotFollowed,
    }
}

/// A member as the API shows it.
pub(super) fn node(member: &MemberStatus, scheme: &str) -> api::NodeStatus {
    api::NodeStatus {
        id: member.id,
        // A URL, as in cluster.json, so that a caller can use it as it is.
        api: format!("{scheme}://{}", member.api),
        peer: member.peer.clone(),
        role: match member.role {
            VotingRole::Voter => api::NodeRole::Voter,
            VotingRole::Learner => api::NodeRole::Learner,
        },
        status: Some(match member.stage {
            MemberStage::Waiting => api::NodeStage::Waiting,
            MemberStage::CatchingUp => api::NodeStage::CatchingUp,
            MemberStage::Ready => api::NodeStage::Ready,
            MemberStage::Voting => api::NodeStage::Voting,
        }),
        healthy: member.healthy,
        applied: member.applied,
        lag: member.lag,
        rules: member.rules,
        build: member.build.map(|name| name.as_str().to_owned()),
    }
}

/// `GET /v1/cluster/digest`
async fn digest(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_sums()?;
    let query = head.query(&["applied"])?;
    query.consistency()?;
    read::local(&app, &head).await?;
    let asked = query.number("applied")?;
    if let Some(position) = asked {
        app.cluster.read(Consistency::Local, Some(position), head.deadline).await?;
    }
    let (now, latest) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.digest())
    };
    let (applied, digest) = match asked {
        Some(position) if position != now => {
            let recent = app.cluster.digest_at(position);
            (position, recent.ok_or_else(|| Problem::new(Code::NotFound, "this position is no longer remembered"))?)
        }
        Some(_) | None => (now, latest),
    };
    reply::json(applied, &api::DigestAt { node: app.cluster.status().node, applied, digest: digest.to_string() })
}
