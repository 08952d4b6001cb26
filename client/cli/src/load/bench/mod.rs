//! `etebar bench`: how many requests the cluster takes, how long they last, and whether its books are exact afterwards.
//!
//! A closed loop has one request under way on each connection. An open loop (`--rate`) starts requests by a schedule and
//! measures from there, so that a stall counts for all that it delays.

mod books;
mod drive;
mod plan;
mod processes;
mod report;
mod targets;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use etebar::IdempotencyKey;
use etebar::api::{self, SHOWN_CHARS};

use self::books::Books;
use self::drive::Job;
use self::plan::{Plan, Requests};
use self::report::comparison::Comparison;
use self::report::saved::Saved;
use self::report::{BenchReport, Measured, drawing};
use self::targets::Targets;
use super::provision::{self, Credit, Made};
use super::record::now_ms;
use crate::arguments::{Bench, Global};
use crate::lists::sink::Sink;
use crate::output;
use crate::output::error::CliError;
use crate::session::Session;

/// Credit of each seller, in minor units: more than any bench can charge.
const CREDIT_MINOR: i64 = 1_000_000_000_000;

/// Files of a run, opened before it, so that a wrong name costs nothing.
struct Files {
    save: Option<Sink>,
    svg: Option<Sink>,
    compare: Option<(PathBuf, Saved)>,
}

/// What `bench --json` prints.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a BenchReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'a Comparison>,
}

pub(crate) async fn run(session: &Session, global: &Global, bench: Bench) -> Result<(), CliError> {
    if bench.part {
        return processes::part(session).await;
    }
    let plan = Plan::of(&bench)?;
    let files = Files::open(&bench)?;
    if global.key.is_none() {
        return Err(CliError::usage(match plan.requests {
            Requests::Ledger => "bench makes its own sellers and needs an admin key: --key or ETEBAR_KEY",
            Requests::NoOp => "bench asks the cluster for its nodes and needs a key: --key or ETEBAR_KEY",
        }));
    }
    let job = job(session, plan.clone()).await?;
    let sellers = job.sellers.clone();
    session.output.progress(&under_way(&plan));
    let tally = processes::drive(session, global, job).await?;
    for (failure, times) in &tally.failures {
        output::error_line(&format!("{times} times: {}", api::shown(failure, SHOWN_CHARS)));
    }
    if !sellers.is_empty() {
        session.output.progress("checking the books");
    }
    let checked = books::check(&session.client, &sellers, &tally).await;
    let measured = Measured::of(&plan, &tally, &checked);
    report(session, &plan, &measured, files, checked)
}

/// Asks for the nodes and makes the sellers.
async fn job(session: &Session, plan: Plan) -> Result<Job, CliError> {
    let targets = Targets::of(&session.client.cluster().await?.value, plan.target)?;
    let made = match plan.requests {
        Requests::NoOp => Made { sellers: Vec::new(), decimals: 0 },
        Requests::Ledger => {
            session.output.progress(&format!("making {} sellers", plan.sellers));
            provision::sellers(&session.client, plan.sellers, Credit::Minor(CREDIT_MINOR), "bench").await?
        }
    };
    Ok(Job {
        plan,
        share: 0,
        targets,
        sellers: made.sellers,
        decimals: made.decimals,
        run: IdempotencyKey::random()?.as_str()[..12].to_owned(),
        retry_for: session.client.key_window().map_or(Duration::MAX, |window| window / 2),
    })
}

/// Prints and keeps what was measured. What the check found counts more than a file that cannot be written.
fn report(session: &Session, plan: &Plan, measured: &Measured, files: Files, checked: Books) -> Result<(), CliError> {
    let Files { save, svg, compare } = files;
    let saved = Saved::new(plan, measured, now_ms());
    let comparison = compare.as_ref().map(|(file, other)| Comparison::new(plan, &measured.report, other, file));
    let printed = Printed { report: &measured.report, comparison: comparison.as_ref() };
    let printed = session.output.either(&printed, || {
        let shown = measured.report.shown();
        comparison.as_ref().map_or_else(|| shown.clone(), |comparison| format!("{shown}\n\n{}", comparison.shown()))
    });
    for doubt in measured.report.doubts() {
        output::error_line(&format!("note: {doubt}"));
    }
    let kept = save.map_or(Ok(()), |sink| keep(sink, &format!("{}\n", output::json_text(&saved)?)));
    let drawn = svg.map_or(Ok(()), |sink| {
        let other = compare.as_ref().map(|(_, other)| other);
        keep(sink, &drawing::draw(&saved, other).map_err(CliError::local)?)
    });
    match checked {
        Books::Wrong(_) => checked.verdict(),
        Books::Exact | Books::Nothing | Books::NotChecked(_) => {
            printed.and(kept).and(drawn).and_then(|()| checked.verdict())
        }
    }
}

fn keep(mut sink: Sink, text: &str) -> Result<(), CliError> {
    if sink.write(text)? { sink.finish() } else { Ok(()) }
}

fn under_way(plan: &Plan) -> String {
    let what = match (plan.requests, plan.reads_percent) {
        (Requests::NoOp, _) => "sending no-ops".to_owned(),
        (Requests::Ledger, 0) => "charging".to_owned(),
        (Requests::Ledger, 100) => "reading".to_owned(),
        (Requests::Ledger, reads) => format!("charging and reading ({reads} %)"),
    };
    let warm_up = match plan.warm_up_seconds {
        0 => String::new(),
        seconds => format!(", after {seconds} s of warm-up"),
    };
    format!("{what} for {} s over {} connections{warm_up}", plan.seconds, plan.connections)
}

impl Files {
    fn open(bench: &Bench) -> Result<Files, CliError> {
        if bench.save.is_some() && bench.save == bench.svg {
            return Err(CliError::usage("--save and --svg name the same file"));
        }
        let sink = |path: &Option<PathBuf>| path.as_deref().map(Sink::file).transpose();
        let compare = match &bench.compare {
            Some(path) => Some((path.clone(), Saved::read(path)?)),
            None => None,
        };
        Ok(Files { save: sink(&bench.save)?, svg: sink(&bench.svg)?, compare })
    }
}
