//! The lists of a node against its records: each seller's entries and credit requests, acts, each phone's charges, and what concluded
//! each charge and request. Statements and decisions are made of them, and no digest covers them.

use std::collections::BTreeMap;

use etebar_node::raft::Cluster;
use etebar_node::storage::StorageError;
use etebar_node::storage::history::{History, RecordCursor};
use ledger::{Charged, Conclusion, CreditRequestedFor, Event, Phone, Record, RecordNumber};

/// What the records make.
#[derive(Debug, Default)]
struct Lists {
    entries: BTreeMap<RecordNumber, Vec<RecordNumber>>,
    requests: BTreeMap<RecordNumber, Vec<RecordNumber>>,
    acts: Vec<RecordNumber>,
    charges: BTreeMap<u64, (Option<Phone>, Vec<RecordNumber>)>,
    conclusions: BTreeMap<RecordNumber, Conclusion>,
}

impl Lists {
    fn of(records: &[Record]) -> Self {
        let mut lists = Self::default();
        for record in records {
            let number = record.number;
            if let Some(movement) = record.movement() {
                lists.entries.entry(movement.seller).or_default().push(number);
            }
            if let Event::CreditRequested(filed) | Event::CreditRequestedFor(CreditRequestedFor { request: filed }) =
                &record.event
            {
                lists.requests.entry(filed.seller).or_default().push(number);
            }
            if record.is_act() {
                lists.acts.push(number);
            }
            if let Event::Charged(Charged { phone, .. }) = &record.event {
                let (known, charges) = lists.charges.entry(phone.digits()).or_default();
                *known = Some(*phone);
                charges.push(number);
            }
            lists.conclusions.extend(record.concludes());
        }
        lists
    }

    /// What differs first in a history that has so many records at least.
    fn difference(&self, history: &History, records: u64) -> Result<Option<String>, StorageError> {
        let most = usize::try_from(records).unwrap_or(usize::MAX);
        let seen = |found: Vec<RecordNumber>| found.into_iter().filter(|number| *number <= records).collect::<Vec<_>>();
        for (seller, entries) in &self.entries {
            if seen(history.entries_of(*seller, 1, most)?) != *entries {
                return Ok(Some(format!("the entries of seller {seller}")));
            }
        }
        if seen(history.acts(1, most)?) != self.acts {
            return Ok(Some("the acts".to_owned()));
        }
        for (seller, requests) in &self.requests {
            if seen(history.requests_of(Some(*seller), 1, most)?) != *requests {
                return Ok(Some(format!("the credit requests of seller {seller}")));
            }
        }
        let mut cursor = RecordCursor::default();
        for (phone, charges) in self.charges.values() {
            let (Some(phone), Some(last)) = (phone, charges.last()) else { continue };
            let found = history.charges_of(*phone, *last, 1, most, &mut cursor)?;
            if found.iter().map(|record| record.number).collect::<Vec<_>>() != *charges {
                return Ok(Some(format!("the charges of phone {phone}")));
            }
        }
        for number in 1..=records {
            let found = history.conclusion(number)?.filter(|conclusion| conclusion.record <= records);
            if found != self.conclusions.get(&number).copied() {
                return Ok(Some(format!("what concluded record {number}")));
            }
        }
        Ok(None)
    }
}

/// What a member has other than its records say, if anything.
pub fn wrong_list(member: &Cluster, records: &[Record]) -> Option<String> {
    let lists = Lists::of(records);
    let found = member.history(|history| lists.difference(history, records.len() as u64));
    found.unwrap_or_else(|error| Some(format!("a list that cannot be read: {error}")))
}
