//! The accounts of a ledger, kept a second time and by other code: what the records say of money, added up by hand.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Adjusted, Charged, CreditApproved, CreditRejected, Event, Record, RecordNumber, Reversed};

/// The accounts after the records that were taken.
#[derive(Debug, Default)]
pub struct Accounts {
    sellers: BTreeMap<RecordNumber, i128>,
    phones: BTreeMap<u64, i128>,
    /// How many charges each phone had, and the last of them.
    charges_of: BTreeMap<u64, (u64, RecordNumber)>,
    treasury: i128,
    entries: u64,
    verdicts: BTreeSet<RecordNumber>,
    reversed: BTreeSet<RecordNumber>,
    charges: BTreeMap<RecordNumber, (RecordNumber, u64, i128)>,
}

impl Accounts {
    /// Takes the next record; an error is a violation.
    pub fn feed(&mut self, record: &Record) -> Result<(), String> {
        let number = record.number;
        match &record.event {
            Event::CreditApproved(CreditApproved { request, entry, balance, .. }) => {
                self.decide(number, request.number)?;
                self.treasury -= i128::from(request.amount.minor());
                self.move_credit(record, request.seller, i128::from(request.amount.minor()), *entry, balance.minor())
            }
            Event::CreditRejected(CreditRejected { request, .. }) => self.decide(number, request.number),
            Event::Adjusted(Adjusted { seller, amount, entry, balance, .. }) => {
                self.treasury -= i128::from(amount.minor());
                self.move_credit(record, *seller, i128::from(amount.minor()), *entry, balance.minor())
            }
            Event::Charged(charged) => {
                let Charged { seller, phone, amount, entry, balance, phone_charge, previous, .. } = charged;
                let amount = i128::from(amount.minor());
                *self.phones.entry(phone.digits()).or_default() += amount;
                let (count, last) = self.charges_of.entry(phone.digits()).or_default();
                if (*phone_charge, *previous) != (*count + 1, *last) {
                    return Err(format!("record {number} does not follow its phone's charge {count}, record {last}"));
                }
                (*count, *last) = (*count + 1, number);
                self.charges.insert(number, (*seller, phone.digits(), amount));
                self.move_credit(record, *seller, -amount, *entry, balance.minor())
            }
            Event::Reversed(Reversed { charge, seller, phone, amount, entry, balance, .. }) => {
                let amount = i128::from(amount.minor());
                if self.charges.get(charge) != Some(&(*seller, phone.digits(), amount)) {
                    return Err(format!("record {number} reverses what charge {charge} was not"));
                }
                if !self.reversed.insert(*charge) {
                    return Err(format!("charge {charge} is reversed twice, the second time by record {number}"));
                }
                *self.phones.entry(phone.digits()).or_default() -= amount;
                self.move_credit(record, *seller, amount, *entry, balance.minor())
            }
            Event::Genesis(_)
            | Event::SellerCreated(_)
            | Event::SellerStatusSet(_)
            | Event::KeyCreated(_)
            | Event::KeyRevoked(_)
            | Event::CreditRequested(_)
            | Event::Refused(_)
            | Event::NodeRegistered(_)
            | Event::RulesRaised(_)
            | Event::NodeAdded(_)
            | Event::NodePromoted(_)
            | Event::NodeRemoved(_)
            | Event::EpochBegun(_)
            | Event::LedgerOpened(_)
            | Event::BackupNoted(_)
            | Event::ExpiringKeyCreated(_)
            | Event::KeyRotated(_)
            | Event::CreditRequestedFor(_)
            | Event::PolicySet(_) => Ok(()),
        }
    }

    fn decide(&mut self, number: RecordNumber, request: RecordNumber) -> Result<(), String> {
        if self.verdicts.insert(request) {
            return Ok(());
        }
        Err(format!("request {request} has a second verdict: record {number}"))
    }

    fn move_credit(
        &mut self,
        record: &Record,
        seller: RecordNumber,
        amount: i128,
        entry: u64,
        balance: u64,
    ) -> Result<(), String> {
        let number = record.number;
        self.entries += 1;
        let account = self.sellers.entry(seller).or_default();
        *account += amount;
        if *account < 0 {
            return Err(format!("record {number} takes seller {seller} below zero"));
        }
        if *account != i128::from(balance) {
            return Err(format!("record {number} says {balance}, and the entries of seller {seller} sum to {account}"));
        }
        if entry != self.entries {
            return Err(format!("record {number} has entry {entry}, and {} are before it", self.entries - 1));
        }
        let sum: i128 = self.sellers.values().sum::<i128>() + self.phones.values().sum::<i128>() + self.treasury;
        if sum != 0 { Err(format!("the accounts sum to {sum} after record {number}")) } else { Ok(()) }
    }
}
