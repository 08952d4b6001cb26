//! Many charges in one request: each stands alone, and each replays, and is replayed by, a single charge under its key.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use etebar_api::{BatchItem, Code, MAX_BATCH, read_phone};
use ledger::{Action, ApiKeyNumber, Charge, Command, Event, IdempotencyKey, Refused, Rejection};

use serde::Deserialize;

use crate::http::app::App;
use crate::http::request::body::{self, Call, Faults, JsonBody};
use crate::http::request::head::Caller;
use crate::http::request::json::Object;
use crate::http::response::problem::{Answer, Problem, rejection};
use crate::http::response::render::{self, ChargeWriter, LedgerInfo};
use crate::http::response::reply;
use crate::http::submit;
use crate::raft::{Decided, Decisions};
use crate::runtime;

/// Charges from which on a batch is parsed and answered apart from the threads that serve connections: so many take about two
/// milliseconds, for which other requests would wait.
const LARGE_BATCH: usize = 2_000;
/// Bytes of a body that has so many.
const LARGE_BATCH_BYTES: usize = 160 * 1024;

/// Bytes that one result takes, about.
const RESULT_BYTES: usize = 384;

/// `POST /v1/charges/batch`
pub(crate) async fn create(State(app): State<App>, mut call: Call) -> Answer {
    let caller = Caller::of(&call.head, &app).await?;
    caller.must_be_seller()?;
    let info = app.ledger_info()?;
    let body = call.json(&app, caller.key).await?;
    let commands = if body.len() > LARGE_BATCH_BYTES {
        runtime::blocking(move || commands(&body, caller.key, info.decimals)).await.map_err(Problem::internal)??
    } else {
        commands(&body, caller.key, info.decimals)?
    };
    let answered = async |decisions: Decisions| {
        if decisions.outcomes.len() > LARGE_BATCH {
            runtime::blocking(move || results(&info, &decisions)).await.map_err(Problem::internal)?
        } else {
            results(&info, &decisions)
        }
    };
    submit::run_group(&app, caller, commands, call.head.deadline, answered).await
}

/// [`etebar_api::BatchRequest`], whose items must be objects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchBody<'a> {
    #[serde(borrow)]
    charges: Vec<Object<BatchItem<'a>>>,
}

/// The charges of a batch, or all that is wrong with them.
fn commands(body: &JsonBody, actor: ApiKeyNumber, decimals: u32) -> Result<Vec<Command>, Problem> {
    let BatchBody { charges } = body.parse()?;
    if charges.is_empty() {
        return Err(Problem::invalid("/charges", "a batch has at least one charge"));
    }
    if charges.len() > MAX_BATCH {
        return Err(Problem::new(Code::TooLarge, format!("a batch has at most {MAX_BATCH} charges")));
    }
    let mut faults = Faults::default();
    let mut commands = Vec::with_capacity(charges.len());
    for (at, Object(item)) in charges.iter().enumerate() {
        commands.extend(command(&mut faults, at, item, actor, decimals));
    }
    if commands.len() == charges.len() { Ok(commands) } else { Err(faults.problem()) }
}

fn command(
    faults: &mut Faults,
    at: usize,
    item: &BatchItem<'_>,
    actor: ApiKeyNumber,
    decimals: u32,
) -> Option<Command> {
    let phone = faults.at(|| format!("/charges/{at}/phone"), read_phone(&item.phone));
    let amount = faults.at(|| format!("/charges/{at}/amount"), body::amount(item.amount, decimals));
    let key = IdempotencyKey::new(&item.idempotency_key);
    let key = faults.at(|| format!("/charges/{at}/idempotency_key"), key);
    let reference = faults.at(|| format!("/charges/{at}/reference"), body::reference(item.reference.as_deref()));
    let action = Action::Charge(Charge { phone: phone?, amount: amount?, reference: reference? });
    Some(Command { actor, idempotency_key: Some(key?), origin: None, action })
}

fn results(info: &LedgerInfo, decisions: &Decisions) -> Answer {
    let mut out = Vec::with_capacity(RESULT_BYTES * decisions.outcomes.len() + 16);
    let mut writer = ChargeWriter::new(info);
    out.extend_from_slice(b"{\"results\":[");
    for (at, decided) in decisions.outcomes.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        result(&mut out, &mut writer, info, decided)?;
    }
    out.extend_from_slice(b"]}");
    Ok(response(decisions.position, out))
}

fn response(position: u64, body: Vec<u8>) -> Response<Body> {
    reply::bytes_of(StatusCode::OK, position, body)
}

/// Appends one result. A key that was revoked meanwhile refuses the whole: all of it was decided at one position.
fn result(out: &mut Vec<u8>, writer: &mut ChargeWriter, info: &LedgerInfo, decided: &Decided) -> Result<(), Problem> {
    let (problem, replayed) = match decided {
        Decided::Recorded { record, replayed } => {
            let Event::Refused(Refused { refusal, .. }) = &record.event else {
                out.extend_from_slice(b"{\"status\":201,\"replayed\":");
                out.extend_from_slice(if *replayed { b"true" } else { b"false" });
                out.extend_from_slice(b",\"charge\":");
                if !writer.write(out, record) {
                    return Err(Problem::internal(format_args!("record {} is no charge", record.number)));
                }
                out.push(b'}');
                return Ok(());
            };
            (render::refusal(info, *refusal), *replayed)
        }
        Decided::NotRecorded(why @ (Rejection::KeyReused | Rejection::Conflict(_))) => match rejection(*why) {
            Ok(problem) => (problem.body().clone(), false),
            Err(refusal) => (render::refusal(info, refusal), false),
        },
        Decided::NotRecorded(why) => {
            let problem = rejection(*why);
            return Err(problem.unwrap_or_else(|refusal| render::refusal(info, refusal).into()));
        }
    };
    out.extend_from_slice(format!("{{\"status\":{},\"replayed\":{replayed},\"problem\":", problem.status).as_bytes());
    serde_json::to_writer(&mut *out, &problem).map_err(Problem::internal)?;
    out.push(b'}');
    Ok(())
}
