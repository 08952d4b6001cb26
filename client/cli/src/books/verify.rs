//! `etebar verify`: every promise that can be checked from outside, a line each.

use serde::Serialize;

use super::chain::TrustedEntry;
use super::inspection::{Inspection, Scope, inspect};
use super::promise::{Finding, Verdict, worst};
use crate::arguments::Verify;
use crate::output::error::CliError;
use crate::output::paint::{Cell, Tone};
use crate::output::{count, table};
use crate::session::Session;

/// What `verify --json` prints.
#[derive(Serialize)]
struct VerifyReport<'a> {
    verdict: Verdict,
    entries: u64,
    applied: u64,
    digest: &'a str,
    #[serde(rename = "members")]
    nodes: usize,
    /// After which entry the journal was checked; 0 for all of it.
    after: u64,
    /// Where a later check can go on: the last entry of the last page of records that is complete; `null` where there is none.
    resumable: Option<Resumable>,
    promises: Vec<PromiseLine<'a>>,
}

#[derive(Serialize)]
struct Resumable {
    entry: u64,
    digest: String,
}

#[derive(Serialize)]
struct PromiseLine<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    sentence: &'static str,
}

pub(crate) async fn run(session: &Session, verb: &Verify) -> Result<(), CliError> {
    let after = match (verb.from, verb.digest) {
        (Some(entry), Some(digest)) => Some(TrustedEntry { entry, digest }),
        (Some(_) | None, None) | (None, Some(_)) => None,
    };
    let scope = Scope { client: &session.client, after, output: session.output, observe: |_: &_| () };
    let inspection = inspect(scope).await?;
    let verdict = worst(&inspection.findings);
    let lines = inspection.findings.iter().map(|finding| PromiseLine { finding, sentence: finding.promise.sentence() });
    let resumable = inspection.resumable.map(|TrustedEntry { entry, digest }| (entry, digest.to_string()));
    let report = VerifyReport {
        verdict,
        entries: inspection.entries,
        applied: inspection.applied,
        digest: &inspection.digest,
        nodes: inspection.nodes,
        after: after.map_or(0, |after| after.entry),
        resumable: resumable.map(|(entry, digest)| Resumable { entry, digest }),
        promises: lines.collect(),
    };
    let printed = session.output.either(&report, || shown(&inspection));
    conclude(&inspection.findings)?;
    printed
}

fn shown(inspection: &Inspection) -> String {
    let rows: Vec<_> = inspection.findings.iter().map(row).collect();
    let go_on = inspection.resumable.map_or_else(String::new, |TrustedEntry { entry, digest }| {
        format!("\nto go on from here later: etebar verify --from {entry} --digest {digest}")
    });
    format!(
        "{}\n{} entries checked; {} nodes compared at position {}: {}{go_on}",
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
        Verdict::Unproven | Verdict::NotChecked => Tone::Waiting,
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
        Verdict::NotChecked => "not checked",
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
