//! `etebar verify`: every promise that can be checked from outside, a line each.

use serde::Serialize;

use super::inspection::{Inspection, inspect};
use super::promise::{Finding, Verdict, worst};
use crate::output::error::CliError;
use crate::output::paint::{Cell, Tone};
use crate::output::{count, table};
use crate::session::Session;

/// What `verify --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    verdict: Verdict,
    entries: u64,
    applied: u64,
    digest: &'a str,
    #[serde(rename = "members")]
    nodes: usize,
    promises: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    sentence: &'static str,
}

pub(crate) async fn run(session: &Session) -> Result<(), CliError> {
    let inspection = inspect(&session.client, |_| ()).await?;
    let verdict = worst(&inspection.findings);
    let lines = inspection.findings.iter().map(|finding| Line { finding, sentence: finding.promise.sentence() });
    let report = Report {
        verdict,
        entries: inspection.entries,
        applied: inspection.applied,
        digest: &inspection.digest,
        nodes: inspection.nodes,
        promises: lines.collect(),
    };
    let printed = session.output.either(&report, || shown(&inspection));
    conclude(&inspection.findings)?;
    printed
}

fn shown(inspection: &Inspection) -> String {
    let rows: Vec<_> = inspection.findings.iter().map(row).collect();
    format!(
        "{}\n{} entries checked; {} nodes compared at position {}: {}",
        table(&["promise", "verdict", ">checked", ">faults", "detail"], &rows),
        count(inspection.entries),
        inspection.nodes,
        inspection.applied,
        Cell::from(inspection.digest.as_str()),
    )
}

fn row(finding: &Finding) -> Vec<Cell> {
    let tone = match finding.verdict {
        Verdict::Kept => Tone::Good,
        Verdict::Broken => Tone::Bad,
        Verdict::Unproven => Tone::Waiting,
    };
    vec![
        finding.promise.sentence().into(),
        Cell::new(word(finding.verdict), tone),
        count(finding.checked).into(),
        count(finding.faults).into(),
        finding.detail.clone().unwrap_or_default().into(),
    ]
}

pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "kept",
        Verdict::Broken => "BROKEN",
        Verdict::Unproven => "unproven",
    }
}

/// How the verb ends: with the first promise that is broken, or else that is unproven.
pub(crate) fn conclude(findings: &[Finding]) -> Result<(), CliError> {
    let first = |verdict| findings.iter().find(|finding| finding.verdict == verdict);
    let text = |finding: &Finding| {
        format!("{}: {}", finding.promise.sentence(), finding.detail.as_deref().unwrap_or("no detail"))
    };
    match (first(Verdict::Broken), first(Verdict::Unproven)) {
        (Some(broken), _) => Err(CliError::Broken(format!("broken: {}", text(broken)))),
        (None, Some(unproven)) => Err(CliError::Unproven(format!("unproven: {}", text(unproven)))),
        (None, None) => Ok(()),
    }
}
