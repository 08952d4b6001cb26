//! `etebar prove`: the records of `load` against the journal. Nothing acknowledged may be missing, nothing may be there
//! that no answer accounts for, and every other promise must hold.
//!
//! The sellers of a record are charged by `load` alone, and all records that name them are given.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde::Serialize;
use uuid::Uuid;

use etebar::api::{Entry, EntryKind};
use etebar::{ChargeFilter, Client, IdempotencyKey};

use super::inspection::{Inspection, Scope, inspect};
use super::promise::{Finding, Promise, Verdict, worst};
use super::verify;
use crate::load::record::{self, RecordLine};
use crate::output::error::CliError;
use crate::output::{count, sheet};
use crate::session::Session;

/// What `prove --json` prints.
#[derive(Debug, Serialize)]
struct ProofReport {
    acknowledged: u64,
    replayed: u64,
    refused: u64,
    unanswered: u64,
    lost: u64,
    doubled: u64,
    negative: u64,
    sums_equal: bool,
    digests_equal: bool,
    nodes: usize,
    entries: u64,
    verdict: Verdict,
}

pub(crate) async fn run(session: &Session, files: &[PathBuf]) -> Result<(), CliError> {
    let mut proof = Proof::default();
    for file in files {
        record::read(file, |line| proof.take(line))?;
    }
    let observe = |entry: &Entry| proof.observe(entry);
    let scope = Scope { client: &session.client, after: None, output: session.output, observe };
    let inspection = inspect(scope).await?;
    proof.ask_for_unanswered(&session.client).await?;
    let report = proof.report(&inspection);
    let printed = session.output.either(&report, || report.shown());
    if report.lost + report.doubled > 0 {
        let first = proof.fault.unwrap_or_default();
        return Err(CliError::Broken(format!("{} lost, {} doubled: {first}", report.lost, report.doubled)));
    }
    verify::conclude(&inspection.findings)?;
    printed
}

/// What the records say, and what the journal had of it.
#[derive(Debug, Default)]
struct Proof {
    acknowledged: u64,
    replayed: u64,
    refused: u64,
    sellers: HashSet<Uuid>,
    /// Acknowledged charges by key.
    charge_of: HashMap<String, Uuid>,
    /// Acknowledged charges, and whether the journal has them.
    charges: HashMap<Uuid, Acknowledged>,
    /// Keys without any answer, and their sellers.
    unanswered: HashMap<String, Uuid>,
    /// Charges of these sellers that no answer accounts for.
    unaccounted: HashSet<Uuid>,
    /// Answers that contradict each other: one key, two charges.
    contradictions: u64,
    /// Two keys, one charge.
    shared: u64,
    fault: Option<String>,
}

#[derive(Debug)]
struct Acknowledged {
    line: RecordLine,
    found: bool,
}

impl Proof {
    fn take(&mut self, line: RecordLine) {
        self.sellers.insert(line.seller);
        let Some(charge) = line.charge.filter(|_| line.status == 201) else {
            if line.status == 0 && !self.charge_of.contains_key(&line.key) {
                self.unanswered.insert(line.key, line.seller);
            } else {
                self.refused += u64::from(line.status != 0);
            }
            return;
        };
        self.acknowledged += 1;
        self.replayed += u64::from(line.replayed);
        self.unanswered.remove(&line.key);
        match self.charge_of.insert(line.key.clone(), charge) {
            Some(before) if before == charge => return,
            Some(before) => {
                self.contradictions += 1;
                self.fault.get_or_insert(format!("key {} was answered with {before} and {charge}", line.key));
            }
            None => {}
        }
        let key = line.key.clone();
        if let Some(other) = self.charges.insert(charge, Acknowledged { line, found: false })
            && other.line.key != key
        {
            self.shared += 1;
            self.fault.get_or_insert(format!("keys {key} and {} share charge {charge}", other.line.key));
        }
    }

    fn observe(&mut self, entry: &Entry) {
        if entry.kind != EntryKind::Charge || !self.sellers.contains(&entry.seller_id) {
            return;
        }
        let Some(known) = self.charges.get_mut(&entry.reference) else {
            self.unaccounted.insert(entry.reference);
            return;
        };
        let line = &known.line;
        let amount = line.amount.minor(entry.amount.decimals()).map(|minor| -i128::from(minor));
        known.found = line.entry == Some(entry.entry)
            && line.seller == entry.seller_id
            && entry.phone.as_ref() == Some(&line.phone)
            && amount == Ok(entry.amount.minor());
    }

    /// A charge whose answer never came may have been done: the ledger is asked by its key.
    async fn ask_for_unanswered(&mut self, client: &Client) -> Result<(), CliError> {
        if self.unaccounted.is_empty() {
            return Ok(());
        }
        for (key, seller) in &self.unanswered {
            let key = IdempotencyKey::parse(key)?;
            let filter = ChargeFilter { key: Some(key), seller: Some(*seller), ..ChargeFilter::default() };
            let page = client.charges_list(&filter, 1).next_page().await?;
            for read in page.into_iter().flat_map(|page| page.value.items) {
                self.unaccounted.remove(&read.charge.id);
            }
        }
        Ok(())
    }

    fn report(&mut self, inspection: &Inspection) -> ProofReport {
        let lost = self.charges.values().filter(|known| !known.found);
        let first_lost =
            lost.clone().map(|known| format!("key {} is not in the journal as answered", known.line.key)).next();
        let lost = lost.count() as u64 + self.shared;
        let doubled = self.unaccounted.len() as u64 + self.contradictions;
        let first_doubled =
            self.unaccounted.iter().next().map(|charge| format!("no answer accounts for charge {charge}"));
        self.fault = self.fault.take().or(first_lost).or(first_doubled);
        let of = |promise| inspection.findings.iter().find(|finding: &&Finding| finding.promise == promise);
        let kept = |promise| of(promise).is_some_and(|finding| finding.verdict == Verdict::Kept);
        let sums = [Promise::SumsEqual, Promise::SellerBalances, Promise::PhoneBalances, Promise::RunningBalances];
        let verdict = if lost + doubled > 0 { Verdict::Broken } else { worst(&inspection.findings) };
        ProofReport {
            acknowledged: self.acknowledged,
            replayed: self.replayed,
            refused: self.refused,
            unanswered: self.unanswered.len() as u64,
            lost,
            doubled,
            negative: of(Promise::NeverNegative).map_or(0, |finding| finding.faults),
            sums_equal: sums.into_iter().all(kept),
            digests_equal: kept(Promise::NodesAgree),
            nodes: inspection.nodes,
            entries: inspection.entries,
            verdict,
        }
    }
}

impl ProofReport {
    fn shown(&self) -> String {
        let yes = |yes: bool| if yes { "yes" } else { "NO" }.to_owned();
        sheet(&[
            ("acknowledged", count(self.acknowledged)),
            ("replayed", count(self.replayed)),
            ("refused", count(self.refused)),
            ("unanswered", count(self.unanswered)),
            ("lost", count(self.lost)),
            ("doubled", count(self.doubled)),
            ("negative", count(self.negative)),
            ("sums equal", yes(self.sums_equal)),
            (&format!("digests equal on all {} nodes", self.nodes), yes(self.digests_equal)),
            ("entries checked", count(self.entries)),
            ("verdict", format!("every promise {}", verify::word(self.verdict))),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etebar::api::{AmountIn, AmountOut, Timestamp};

    const SELLER: Uuid = Uuid::from_u128(1);

    fn line(key: &str, status: u16, charge: u64, replayed: bool) -> RecordLine {
        RecordLine {
            key: key.to_owned(),
            seller: SELLER,
            phone: "+989123456789".to_owned(),
            amount: AmountIn::from_minor(5, 0),
            status,
            charge: (status == 201).then(|| Uuid::from_u128(u128::from(charge))),
            entry: (status == 201).then_some(charge),
            replayed,
            attempts: 1,
            started_ms: 0,
            ended_ms: 1,
        }
    }

    fn entry(charge: u64) -> Entry {
        Entry {
            entry: charge,
            record: charge,
            created_at: Timestamp(0),
            kind: EntryKind::Charge,
            seller_id: SELLER,
            amount: AmountOut::new(-5, 0),
            balance: AmountOut::new(0, 0),
            debit: String::new(),
            credit: String::new(),
            reference: Uuid::from_u128(u128::from(charge)),
            phone: Some("+989123456789".to_owned()),
            actor: String::new(),
            caller_reference: None,
            digest: String::new(),
        }
    }

    fn lost_and_doubled(lines: Vec<RecordLine>, entries: &[Entry]) -> (u64, u64) {
        let mut proof = Proof::default();
        for line in lines {
            proof.take(line);
        }
        for entry in entries {
            proof.observe(entry);
        }
        let digest = String::new();
        let nothing = Inspection { findings: Vec::new(), entries: 0, applied: 0, digest, nodes: 0, resumable: None };
        let report = proof.report(&nothing);
        (report.lost, report.doubled)
    }

    #[test]
    fn what_was_acknowledged_once_and_replayed_is_neither_lost_nor_doubled() {
        let lines = vec![line("a", 201, 1, false), line("a", 201, 1, true), line("b", 409, 0, false)];
        assert_eq!(lost_and_doubled(lines, &[entry(1)]), (0, 0));
    }

    #[test]
    fn an_acknowledged_charge_that_the_journal_lacks_is_lost() {
        assert_eq!(lost_and_doubled(vec![line("a", 201, 1, false)], &[]), (1, 0));
    }

    #[test]
    fn an_acknowledged_charge_of_another_amount_is_lost() {
        let mut other = entry(1);
        other.amount = AmountOut::new(-6, 0);
        assert_eq!(lost_and_doubled(vec![line("a", 201, 1, false)], &[other]), (1, 0));
    }

    #[test]
    fn a_charge_that_no_answer_accounts_for_is_doubled() {
        let lines = vec![line("a", 201, 1, false), line("b", 409, 0, false)];
        assert_eq!(lost_and_doubled(lines, &[entry(1), entry(2)]), (0, 1));
    }

    #[test]
    fn one_key_with_two_charges_is_doubled_and_two_keys_with_one_are_lost() {
        let doubled = vec![line("a", 201, 1, false), line("a", 201, 2, true)];
        assert_eq!(lost_and_doubled(doubled, &[entry(1), entry(2)]), (0, 1));
        let shared = vec![line("a", 201, 1, false), line("b", 201, 1, false)];
        assert_eq!(lost_and_doubled(shared, &[entry(1)]), (1, 0));
    }

    #[test]
    fn other_sellers_charges_need_no_answer() {
        let mut others = entry(2);
        others.seller_id = Uuid::from_u128(9);
        assert_eq!(lost_and_doubled(vec![line("a", 201, 1, false)], &[entry(1), others]), (0, 0));
    }
}
