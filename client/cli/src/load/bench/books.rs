//! The check after a run: each seller's books against what was answered, and the audit of the whole ledger.
//!
//! A difference breaks a promise. What cannot be checked (an audit that is far behind, a node that is gone) is said, and breaks nothing.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use etebar::Client;
use etebar::api::Reconciliation;

use super::drive::tally::Tally;
use crate::books::audit;
use crate::load::provision::Provisioned;
use crate::output::error::CliError;

/// Books of sellers checked at once.
const CHECKS_AT_ONCE: usize = 4;
/// Sellers whose books could not be read until the rest is not tried: each may take a call's whole time.
const FAILURES_MAX: usize = 4;
/// What the check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Books {
    Exact,
    /// Nothing was charged.
    Nothing,
    /// Why there is no answer.
    NotChecked(String),
    Wrong(String),
}

impl Books {
    /// The end of the verb: a difference is a broken promise, and what was not checked is not proven.
    pub(crate) fn verdict(self) -> Result<(), CliError> {
        match self {
            Books::Exact | Books::Nothing => Ok(()),
            Books::NotChecked(why) => Err(CliError::Advised {
                text: format!("the books were not checked: {why}"),
                hint: "what was measured stands; `etebar verify` checks the whole journal".to_owned(),
                code: 3,
            }),
            Books::Wrong(wrong) => Err(CliError::Broken(wrong)),
        }
    }
}

/// Checks the books of `sellers`, which this run made and nobody else charges.
pub(crate) async fn check(client: &Client, sellers: &[Provisioned], tally: &Tally) -> Books {
    if sellers.is_empty() {
        return Books::Nothing;
    }
    match (check_sellers(client, sellers, tally).await, check_ledger(client, tally.newest_entry).await) {
        (wrong @ Books::Wrong(_), _) | (_, wrong @ Books::Wrong(_)) => wrong,
        (Books::NotChecked(sellers), Books::NotChecked(ledger)) => Books::NotChecked(format!("{sellers}; {ledger}")),
        (open @ Books::NotChecked(_), Books::Exact | Books::Nothing)
        | (Books::Exact | Books::Nothing, open @ Books::NotChecked(_)) => open,
        (Books::Exact | Books::Nothing, Books::Exact | Books::Nothing) => Books::Exact,
    }
}

async fn check_sellers(client: &Client, sellers: &[Provisioned], tally: &Tally) -> Books {
    let mut tasks = JoinSet::new();
    let (mut next, mut failures, mut why) = (0, 0, String::new());
    loop {
        while next < sellers.len() && tasks.len() < CHECKS_AT_ONCE && failures < FAILURES_MAX {
            let (client, id, index) = (client.clone(), sellers[next].seller_id, next);
            tasks.spawn(async move { (index, client.reconciliation(id).await) });
            next += 1;
        }
        let Some(joined) = tasks.join_next().await else { break };
        let failure = match joined {
            Ok((index, Ok(books))) => {
                let of = |counts: &BTreeMap<usize, u64>| counts.get(&index).copied().unwrap_or(0);
                match wrong_books(&books.value, of(&tally.by_seller), of(&tally.open_by_seller)) {
                    Some(wrong) => return Books::Wrong(format!("seller {}: {wrong}", books.value.seller_id)),
                    None => continue,
                }
            }
            Ok((_, Err(error))) => error.to_string(),
            Err(error) => error.to_string(),
        };
        failures += 1;
        why = failure;
    }
    match failures + sellers.len() - next {
        0 => Books::Exact,
        unread => Books::NotChecked(format!("the books of {unread} of {} sellers: {why}", sellers.len())),
    }
}

/// The node's own audit, once it covers entry `newest`.
async fn check_ledger(client: &Client, newest: u64) -> Books {
    match audit::covering(client, newest).await {
        Err(error) => Books::NotChecked(format!("the audit of the ledger: {error}")),
        Ok(audit) if !audit.consistent => {
            let first = audit.broken.first().map_or_else(String::new, |broken| format!(": {broken}"));
            Books::Wrong(format!("the audit finds the ledger inconsistent{first}"))
        }
        Ok(_) => Books::Exact,
    }
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
