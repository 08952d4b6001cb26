//! `etebar bench`: how many charges the cluster takes, and whether its books are exact afterwards.
//!
//! A closed loop: each connection has one request under way. Latency is measured from a request's first attempt to its
//! answer, so a leader's death shows in it.

mod template;
mod wire;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use etebar::api::{self, AmountIn, ClusterStatus, Reconciliation, SHOWN_CHARS};
use etebar::{Client, Endpoint, IdempotencyKey};

use super::provision::{self, Credit, Made, Provisioned};
use crate::arguments::{Bench, Global, Target};
use crate::output::error::CliError;
use crate::output::{self, count, rounded, sheet};
use crate::session::Session;
use template::{Shape, Template};
use worker::{Tally, Worker};

/// Credit of each seller, in minor units: more than any bench can charge.
const CREDIT_MINOR: i64 = 1_000_000_000_000;
/// Books of sellers checked at once.
const CHECKS_AT_ONCE: usize = 4;

/// What `bench --json` prints. Source of the names: the contract.
#[derive(Debug, Serialize)]
struct Report {
    charges_per_second: f64,
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
    accepted: u64,
    refused: u64,
    errors: u64,
    retried: u64,
    books_exact: bool,
}

pub(crate) async fn run(session: &Session, global: &Global, bench: Bench) -> Result<(), CliError> {
    if global.key.is_none() {
        return Err(CliError::usage("bench makes its own sellers and needs an admin key: --key or ETEBAR_KEY"));
    }
    let servers = servers(&session.client, &session.client.cluster().await?.value, bench.target)?;
    session.output.progress(&format!("making {} sellers", bench.sellers));
    let made = provision::sellers(&session.client, bench.sellers, Credit::Minor(CREDIT_MINOR), "bench").await?;
    let sellers = Arc::new(made.sellers.clone());
    session.output.progress(&format!("charging for {} s over {} connections", bench.seconds, bench.connections));
    let started = Instant::now();
    let retry_for = session.client.key_window().map_or(Duration::MAX, |window| window / 2);
    let tally = drive(&bench, &servers, &made, (started, retry_for)).await?;
    let elapsed = started.elapsed();
    session.output.progress("checking the books");
    let wrong = check(session, &sellers, &tally).await?;
    for (kind, times) in &tally.kinds {
        output::error_line(&format!("{times} times: {}", api::shown(kind, SHOWN_CHARS)));
    }
    let report = Report::of(&tally, elapsed, wrong.is_none());
    let printed = session.output.either(&report, || report.shown());
    match wrong {
        Some(wrong) => Err(CliError::Broken(wrong)),
        None => printed,
    }
}

/// The nodes to send to; where one fails, its workers use the others of the target, and then the rest.
fn servers(client: &Client, cluster: &ClusterStatus, target: Target) -> Result<Vec<Vec<Endpoint>>, CliError> {
    let leads = |id: u64| cluster.leader == Some(id);
    let is_target = |id: u64| match target {
        Target::Leader => leads(id),
        Target::Follower => !leads(id),
        Target::Any => true,
    };
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for node in cluster.nodes.iter().filter(|node| node.healthy) {
        let side = if is_target(node.id) { &mut first } else { &mut rest };
        side.push(client.node_endpoint(&node.api)?);
    }
    if first.is_empty() {
        return Err(CliError::local("no healthy node is of the target kind"));
    }
    let rotated = (0..first.len()).map(|start| {
        let (behind, ahead) = first.split_at(start);
        ahead.iter().chain(behind).chain(&rest).cloned().collect()
    });
    Ok(rotated.collect())
}

async fn drive(
    bench: &Bench,
    servers: &[Vec<Endpoint>],
    made: &Made,
    (started, retry_for): (Instant, Duration),
) -> Result<Tally, CliError> {
    let sellers = Arc::new(made.sellers.clone());
    let run = IdempotencyKey::random()?.as_str()[..12].to_owned();
    let amount = AmountIn::from_minor(1, made.decimals).to_string();
    let end = started + Duration::from_secs(u64::from(bench.seconds));
    let mut tasks = JoinSet::new();
    for number in 0..bench.connections as usize {
        let prefix = format!("{run}-{number:05}-");
        let seed = getrandom::u64()?;
        let first_seller = number % sellers.len();
        let shape = Shape { prefix: &prefix, secret: &sellers[first_seller].key, amount: &amount, seed };
        let template = if bench.batch == 1 { Template::single(&shape) } else { Template::batch(&shape, bench.batch) };
        tasks.spawn(worker::run(Worker {
            servers: servers[number % servers.len()].clone(),
            sellers: Arc::clone(&sellers),
            first_seller,
            stride: bench.connections as usize,
            template,
            end,
            retry_for,
        }));
    }
    let mut tally = Tally::new();
    while let Some(joined) = tasks.join_next().await {
        tally.merge(&joined.map_err(|error| CliError::local(error.to_string()))?);
    }
    Ok(tally)
}

/// What is wrong with the books, if anything: each seller's against what was answered, and the whole ledger's.
async fn check(session: &Session, sellers: &Arc<Vec<Provisioned>>, tally: &Tally) -> Result<Option<String>, CliError> {
    let mut tasks = JoinSet::new();
    let mut next = 0;
    loop {
        while next < sellers.len() && tasks.len() < CHECKS_AT_ONCE {
            let (client, id, index) = (session.client.clone(), sellers[next].seller_id, next);
            tasks.spawn(async move { client.reconciliation(id).await.map(|books| (index, books.value)) });
            next += 1;
        }
        let Some(joined) = tasks.join_next().await else { break };
        let (index, books) = joined.map_err(|error| CliError::local(error.to_string()))??;
        let of = |counts: &std::collections::BTreeMap<usize, u64>| counts.get(&index).copied().unwrap_or(0);
        if let Some(wrong) = wrong_books(&books, of(&tally.by_seller), of(&tally.open_by_seller)) {
            return Ok(Some(format!("seller {}: {wrong}", books.seller_id)));
        }
    }
    let audit = session.client.audit().await?.value;
    let first = audit.broken.first().map_or_else(String::new, |broken| format!(": {broken}"));
    Ok((!audit.consistent).then(|| format!("the audit finds the ledger inconsistent{first}")))
}

/// Compares a seller's books with what was answered: `accepted` charges of one minor unit, and `open` ones without an answer.
fn wrong_books(books: &Reconciliation, accepted: u64, open: u64) -> Option<String> {
    let charged = -books.charges.minor();
    let expected = i128::from(accepted)..=i128::from(accepted + open);
    // Every entry but the one of the credit is a charge of one minor unit.
    let entries = i128::from(books.entries) - 1;
    if !books.consistent {
        return Some("the balance is not the sum of the entries".to_owned());
    }
    if !expected.contains(&charged) || entries != charged {
        return Some(format!(
            "{accepted} charges were accepted and {open} open, the books show {charged} in {entries} entries"
        ));
    }
    None
}

impl Report {
    fn of(tally: &Tally, elapsed: Duration, books_exact: bool) -> Report {
        let per_second = |events: u64| (events as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0;
        let ms = |micros: u64| micros as f64 / 1_000.0;
        Report {
            charges_per_second: per_second(tally.accepted),
            requests_per_second: per_second(tally.requests),
            p50_ms: ms(tally.latency.quantile(0.5)),
            p99_ms: ms(tally.latency.quantile(0.99)),
            p999_ms: ms(tally.latency.quantile(0.999)),
            max_ms: ms(tally.latency.max()),
            accepted: tally.accepted,
            refused: tally.refused,
            errors: tally.errors,
            retried: tally.retried,
            books_exact,
        }
    }

    fn shown(&self) -> String {
        let ms = |value: f64| format!("{value:.3} ms");
        sheet(&[
            ("charges", format!("{} /s", rounded(self.charges_per_second))),
            ("requests", format!("{} /s", rounded(self.requests_per_second))),
            ("p50", ms(self.p50_ms)),
            ("p99", ms(self.p99_ms)),
            ("p99.9", ms(self.p999_ms)),
            ("longest", ms(self.max_ms)),
            ("accepted", count(self.accepted)),
            ("refused", count(self.refused)),
            ("errors", count(self.errors)),
            ("retried", count(self.retried)),
            ("books exact", if self.books_exact { "yes" } else { "NO" }.to_owned()),
        ])
    }
}
