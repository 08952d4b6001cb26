//! `etebar charge` and `etebar charges`.

use std::path::Path;

use etebar::{Answer, ChargeFilter, Stopwatch};

use etebar::api::{
    BatchItem, BatchRequest, BatchResponse, BatchResult, Charge, ChargeRead, MAX_BATCH, MAX_PAGE, NewCharge,
    NewReversal,
};

use super::journal;
use crate::arguments::{ChargeOne, Charges};
use crate::import;
use crate::lists::{self, Listed};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::replay_note;
use crate::output::{grouped, money, or_dash, sheet, table, waits_for_rate};
use crate::session::Session;

pub(crate) async fn one(session: &Session, verb: ChargeOne) -> Result<(), CliError> {
    let new = NewCharge { phone: verb.phone.into(), amount: verb.amount, reference: verb.reference.map(Into::into) };
    let key = verb.once.key()?;
    let answer = session.write(Some(&key), session.client.charge(&new, &key)).await?;
    let charge = &answer.value;
    let text = || format!("{}{}", sheet(&pairs(charge)), replay_note(answer.replayed));
    session.report(charge, text, || Done::new("the charge is done").id(charge.id).under(&key))
}

pub(crate) async fn run(session: &Session, verb: Charges) -> Result<(), CliError> {
    let client = &session.client;
    match verb {
        Charges::List { phone, seller, idempotency_key, span, listing } => {
            let filter = ChargeFilter { phone, seller, key: idempotency_key, span: span.span()? };
            lists::print(session, client.charges_list(&filter, MAX_PAGE), &listing).await
        }
        Charges::Show { id } => {
            let answer = client.charge_read(id).await?;
            session.output.either(&answer.value, || {
                let mut pairs = pairs(&answer.value.charge);
                pairs.push(("reversed by", or_dash(answer.value.reversed_by)));
                sheet(&pairs)
            })
        }
        Charges::Reverse { id, reason, once } => {
            let key = once.key()?;
            let new = NewReversal { reason: reason.into() };
            let answer = session.write(Some(&key), client.reverse(id, &new, &key)).await?;
            let done = || Done::new("the charge is reversed").id(id).under(&key);
            journal::report_entry(session, &answer, done)
        }
        Charges::Batch { file } => batch(session, &text_of(&file)?).await,
        Charges::Import(verb) => import::run(session, verb).await,
    }
}

/// Sends the lines of `text` in as few batches as hold them; ends at the first that is not answered. What was answered
/// before it is printed first.
async fn batch(session: &Session, text: &str) -> Result<(), CliError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(index, line)| {
        serde_json::from_str::<BatchItem<'_>>(line)
            .map_err(|error| CliError::usage(format!("line {}: {error}", index + 1)))
    });
    let items = read.collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() {
        return Err(CliError::usage("there is no charge to send"));
    }
    let mut results = Vec::with_capacity(items.len());
    let mut failure = None;
    for part in items.chunks(MAX_BATCH) {
        let request = BatchRequest { charges: part.to_vec() };
        match send(session, &request).await {
            Ok(answer) => results.extend(answer.value.results),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let answered = results.len();
    if answered > 0 {
        print_batch(session, &BatchResponse { results }, &items)?;
    }
    match failure {
        None => Ok(()),
        Some(error) if answered == 0 => Err(error),
        Some(error) => Err(CliError::Advised {
            text: format!("{error}\nthe first {answered} of {} charges were answered, as printed", items.len()),
            hint: "send the same file again: what was answered is then replayed under its key, and moves nothing"
                .to_owned(),
            code: error.exit_code(),
        }),
    }
}

/// Sends one batch, again where the nodes limit the rate of the API key: after as long as they say, and for half of the time for
/// which its keys are remembered. (The same file sent again would spend the rate on what it replays.)
async fn send(session: &Session, request: &BatchRequest<'_>) -> Result<Answer<BatchResponse>, CliError> {
    let began = Stopwatch::start();
    loop {
        let error = match session.write(None, session.client.charge_batch(request)).await {
            Err(CliError::Call(error)) => error,
            ended => return ended,
        };
        let Some(wait) = error.retry_after() else { return Err(error.into()) };
        let window = match session.client.key_window() {
            Some(window) => Some(window),
            None => session.client.cluster().await.ok().and_then(|_| session.client.key_window()),
        };
        if window.is_none_or(|window| began.left_of(window / 2) <= wait) {
            return Err(error.into());
        }
        session.output.progress(&waits_for_rate(wait));
        tokio::time::sleep(wait).await;
    }
}

fn print_batch(session: &Session, response: &BatchResponse, items: &[BatchItem<'_>]) -> Result<(), CliError> {
    let results = &response.results;
    let text = || {
        let rows: Vec<_> = results.iter().zip(items).map(|(result, item)| batch_row(result, item)).collect();
        table(&["key", ">status", "replayed", "charge or problem"], &rows)
    };
    let done = || {
        let charged = results.iter().filter(|result| result.charge.is_some()).count();
        let what = format!("{charged} of {} charges are done, each under its key in the file", items.len());
        Done::new(what).hint("the same file again shows each answer, and moves nothing")
    };
    session.report(response, text, done)
}

fn batch_row(result: &BatchResult, item: &BatchItem<'_>) -> Vec<String> {
    let charge = result.charge.as_ref().map(|charge| charge.id.to_string());
    let problem = result.problem.as_ref().map(|problem| format!("{}: {}", problem.code.as_str(), problem.detail));
    let replayed = if result.replayed { "yes" } else { "no" };
    vec![item.idempotency_key.to_string(), result.status.to_string(), replayed.to_owned(), or_dash(charge.or(problem))]
}

impl Listed for ChargeRead {
    const HEAD: &'static [&'static str] =
        &["id", ">entry", "seller", "phone", ">amount", ">balance", "reference", "created at", ">reversed by"];
    const COLUMNS: &'static [&'static str] =
        &["id", "entry", "seller_id", "phone", "amount", "balance", "reference", "created_at", "reversed_by"];

    fn row(&self) -> Vec<Cell> {
        let charge = &self.charge;
        vec![
            charge.id.to_string().into(),
            charge.entry.to_string().into(),
            charge.seller_id.to_string().into(),
            charge.phone.clone().into(),
            money(charge.amount),
            money(charge.balance),
            or_dash(charge.reference.clone()).into(),
            charge.created_at.to_string().into(),
            or_dash(self.reversed_by).into(),
        ]
    }
}

fn pairs(charge: &Charge) -> Vec<(&'static str, String)> {
    vec![
        ("id", charge.id.to_string()),
        ("entry", charge.entry.to_string()),
        ("seller", charge.seller_id.to_string()),
        ("phone", charge.phone.clone()),
        ("amount", grouped(charge.amount)),
        ("balance", grouped(charge.balance)),
        ("reference", or_dash(charge.reference.clone())),
        ("created at", charge.created_at.to_string()),
    ]
}

/// The text of a file, or of stdin for `-`.
fn text_of(path: &Path) -> Result<String, CliError> {
    let read =
        if path.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    read.map_err(|error| CliError::local(format!("{}: {error}", path.display())))
}
