//! A walk along the journal: each entry is checked against all before it.

use std::collections::{HashMap, HashSet};

use ledger::{Account, Digest, EntryChain, page_of};
use uuid::Uuid;

use etebar::api::{Entry, EntryKind};

use super::promise::{Findings, Promise};

/// What the journal says so far.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) entries: u64,
    pub(crate) sums: Sums,
    pub(crate) sellers: HashMap<Uuid, i128>,
    pub(crate) phones: HashMap<u64, PhoneBooks>,
    pub(crate) treasury: i128,
    /// What was credited, by request.
    pub(crate) credited: HashMap<Uuid, Credited>,
    adjustments: HashSet<Uuid>,
    charges: HashMap<Uuid, Charged>,
    chain: Chain,
    record: u64,
    time: u64,
}

/// The chain of digests, recomputed.
#[derive(Debug, Default)]
struct Chain {
    ledger: Uuid,
    entries: EntryChain,
    /// The digest of the last entry, as the journal states it.
    stated: Digest,
    /// The page of records whose entries are the open block.
    block: u64,
    is_broken: bool,
}

/// Sums by kind, signed from the sellers' side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) credits: i128,
    pub(crate) adjustments: i128,
    pub(crate) charges: i128,
    pub(crate) reversals: i128,
}

/// One phone's account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PhoneBooks {
    pub(crate) balance: i128,
    pub(crate) charges: u64,
}

/// A credit, as far as it must fit its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credited {
    pub(crate) seller: Uuid,
    pub(crate) amount: i128,
}

/// A charge, as far as its reversal must fit it.
#[derive(Debug)]
struct Charged {
    seller: Uuid,
    phone: Option<u64>,
    amount: i128,
    reversed: bool,
}

impl Walk {
    /// Along the journal of the ledger with this id.
    pub(crate) fn of(ledger: Uuid) -> Walk {
        Walk { chain: Chain { ledger, ..Chain::default() }, ..Walk::default() }
    }

    /// Takes the next entry and checks it.
    pub(crate) fn take(&mut self, entry: &Entry, findings: &mut Findings) {
        let at = entry.entry;
        let amount = entry.amount.minor();
        self.entries += 1;
        let in_order = at == self.entries && entry.record > self.record && entry.created_at.0 >= self.time;
        findings.check(Promise::Numbered, in_order, || {
            format!("entry {at} at {} stands where {} was due", entry.created_at, self.entries)
        });
        self.record = self.record.max(entry.record);
        self.time = self.time.max(entry.created_at.0);
        let balance = self.sellers.entry(entry.seller_id).or_default();
        let due = balance.saturating_add(amount);
        *balance = entry.balance.minor();
        let runs = due == *balance;
        findings
            .check(Promise::RunningBalances, runs, || format!("entry {at}: {due} was due, {} stands", entry.balance));
        findings.check(Promise::NeverNegative, entry.balance.minor() >= 0, || format!("entry {at}: {}", entry.balance));
        let phone = entry.phone.as_deref().and_then(phone_digits);
        self.double_entry(entry, phone, findings);
        self.once(entry, phone, findings);
        self.chain.take(entry, findings);
    }

    fn double_entry(&mut self, entry: &Entry, phone: Option<u64>, findings: &mut Findings) {
        let amount = entry.amount.minor();
        let own = format!("seller:{}", entry.seller_id);
        let other = match &entry.phone {
            Some(phone) => format!("phone:{phone}"),
            None => "treasury".to_owned(),
        };
        let (debit, credit) = if amount < 0 { (&own, &other) } else { (&other, &own) };
        let sum = match entry.kind {
            EntryKind::Credit => &mut self.sums.credits,
            EntryKind::Adjustment => &mut self.sums.adjustments,
            EntryKind::Charge => &mut self.sums.charges,
            EntryKind::Reversal => &mut self.sums.reversals,
        };
        *sum = sum.saturating_add(amount);
        let sign = match entry.kind {
            EntryKind::Credit | EntryKind::Reversal => amount > 0,
            EntryKind::Charge => amount < 0,
            EntryKind::Adjustment => amount != 0,
        };
        let with_phone = matches!(entry.kind, EntryKind::Charge | EntryKind::Reversal);
        let fits = entry.debit == *debit && entry.credit == *credit && sign && phone.is_some() == with_phone;
        findings.check(Promise::DoubleEntry, fits, || {
            format!("entry {}: {} from {} to {}", entry.entry, entry.amount, entry.debit, entry.credit)
        });
        match phone {
            Some(phone) => {
                let books = self.phones.entry(phone).or_default();
                books.balance = books.balance.saturating_sub(amount);
                books.charges += u64::from(entry.kind == EntryKind::Charge);
                findings.check(Promise::PhoneBalances, books.balance >= 0, || {
                    format!("entry {}: the phone is below zero", entry.entry)
                });
            }
            None => self.treasury = self.treasury.saturating_sub(amount),
        }
    }

    /// References are unique by kind, and a reversal fits its charge.
    fn once(&mut self, entry: &Entry, phone: Option<u64>, findings: &mut Findings) {
        let (at, amount) = (entry.entry, entry.amount.minor());
        let doubled = || format!("entry {at}: {} was there before", entry.reference);
        match entry.kind {
            EntryKind::Credit => {
                let credited = Credited { seller: entry.seller_id, amount };
                let new = self.credited.insert(entry.reference, credited).is_none();
                findings.check(Promise::RequestsOnce, new, doubled);
            }
            EntryKind::Adjustment => {
                let new = self.adjustments.insert(entry.reference);
                findings.check(Promise::DoubleEntry, new, doubled);
            }
            EntryKind::Charge => {
                let charged = Charged { seller: entry.seller_id, phone, amount, reversed: false };
                let new = self.charges.insert(entry.reference, charged).is_none();
                findings.check(Promise::ChargesOnce, new, doubled);
            }
            EntryKind::Reversal => {
                let charge = self.charges.get_mut(&entry.reference);
                let fault = charge.map_or(Some("there is no such charge before it"), |charge| {
                    let is_first = !std::mem::replace(&mut charge.reversed, true);
                    let fits = (charge.seller, charge.phone) == (entry.seller_id, phone) && charge.amount == -amount;
                    match (is_first, fits) {
                        (false, _) => Some("it was reversed before"),
                        (true, false) => Some("it was of another seller, phone or amount"),
                        (true, true) => None,
                    }
                });
                findings.check(Promise::ReversalsOnce, fault.is_none(), || {
                    format!("entry {at} undoes charge {}: {}", entry.reference, fault.unwrap_or_default())
                });
            }
        }
    }
}

impl Chain {
    /// Takes the next entry. Where a digest is wrong, so are those after it in its block. They are not counted again, and from
    /// the next block on the chain is checked against what is stated: one fault counts once.
    fn take(&mut self, entry: &Entry, findings: &mut Findings) {
        let block = page_of(entry.record);
        if block != self.block && std::mem::take(&mut self.is_broken) {
            self.entries = EntryChain::before_page(block, self.stated);
        }
        self.block = block;
        let stated = Digest::from_hex(&entry.digest);
        let covered = ledger_entry(entry);
        if let Some(covered) = &covered {
            self.entries.push(self.ledger, covered);
        }
        if !self.is_broken {
            let holds = covered.is_some() && stated == Some(self.entries.digest());
            findings.check(Promise::DigestChain, holds, || format!("entry {}: {}", entry.entry, entry.digest));
            self.is_broken = !holds;
        }
        self.stated = stated.unwrap_or(self.stated);
    }
}

/// The entry as the chain covers it; `None` where a part of it is none of the ledger's.
fn ledger_entry(entry: &Entry) -> Option<ledger::Entry<'_>> {
    let phone = match &entry.phone {
        Some(phone) => Some(ledger::Phone::new(phone_digits(phone)?)?),
        None => None,
    };
    Some(ledger::Entry {
        number: entry.entry,
        record: entry.record,
        time: ledger::Time(entry.created_at.0),
        kind: match entry.kind {
            EntryKind::Credit => ledger::EntryKind::Credit,
            EntryKind::Adjustment => ledger::EntryKind::Adjustment,
            EntryKind::Charge => ledger::EntryKind::Charge,
            EntryKind::Reversal => ledger::EntryKind::Reversal,
        },
        seller: entry.seller_id,
        amount: i64::try_from(entry.amount.minor()).ok()?,
        balance: i64::try_from(entry.balance.minor()).ok()?,
        debit: account(&entry.debit)?,
        credit: account(&entry.credit)?,
        reference: entry.reference,
        phone,
        actor: &entry.actor,
        caller_reference: entry.caller_reference.as_deref(),
    })
}

fn account(text: &str) -> Option<Account> {
    if text == "treasury" {
        return Some(Account::Treasury);
    }
    if let Some(id) = text.strip_prefix("seller:") {
        return Uuid::parse_str(id).ok().map(Account::Seller);
    }
    ledger::Phone::new(phone_digits(text.strip_prefix("phone:")?)?).map(Account::Phone)
}

/// The digits of a number in E.164.
pub(crate) fn phone_digits(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+')?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::promise::Verdict;
    use super::*;
    use etebar::api::{AmountOut, Timestamp};

    const SELLER: Uuid = Uuid::from_u128(1);
    const LEDGER: Uuid = Uuid::from_u128(7);

    /// Entries as an honest ledger writes them.
    struct Writer {
        balance: i64,
        chain: EntryChain,
        entries: Vec<Entry>,
    }

    impl Writer {
        fn new() -> Writer {
            Writer { balance: 0, chain: EntryChain::default(), entries: Vec::new() }
        }

        fn add(mut self, kind: EntryKind, amount: i64, reference: u128) -> Writer {
            self.balance += amount;
            let phone = matches!(kind, EntryKind::Charge | EntryKind::Reversal).then(|| "+989123456789".to_owned());
            let own = format!("seller:{SELLER}");
            let other = phone.as_ref().map_or("treasury".to_owned(), |phone| format!("phone:{phone}"));
            let (debit, credit) = if amount < 0 { (own, other) } else { (other, own) };
            let number = self.entries.len() as u64 + 1;
            let mut entry = Entry {
                entry: number,
                record: 60 + 3 * number,
                created_at: Timestamp(number),
                kind,
                seller_id: SELLER,
                amount: AmountOut::new(amount, 0),
                balance: AmountOut::new(self.balance, 0),
                debit,
                credit,
                reference: Uuid::from_u128(reference),
                phone,
                actor: "someone".to_owned(),
                caller_reference: (number == 2).then(|| "order-2".to_owned()),
                digest: String::new(),
            };
            self.chain.push(LEDGER, &ledger_entry(&entry).unwrap());
            entry.digest = self.chain.digest().to_string();
            self.entries.push(entry);
            self
        }
    }

    fn honest() -> Writer {
        Writer::new()
            .add(EntryKind::Credit, 1_000, 10)
            .add(EntryKind::Charge, -400, 11)
            .add(EntryKind::Charge, -100, 12)
            .add(EntryKind::Reversal, 400, 11)
            .add(EntryKind::Adjustment, -50, 13)
    }

    fn broken(entries: &[Entry]) -> Vec<Promise> {
        let (mut walk, mut findings) = (Walk::of(LEDGER), Findings::default());
        for entry in entries {
            walk.take(entry, &mut findings);
        }
        let all = findings.all();
        all.into_iter().filter(|finding| finding.verdict == Verdict::Broken).map(|finding| finding.promise).collect()
    }

    #[test]
    fn an_honest_journal_breaks_no_promise_and_adds_up() {
        let entries = honest().entries;
        assert_eq!(broken(&entries), []);
        let (mut walk, mut findings) = (Walk::of(LEDGER), Findings::default());
        for entry in &entries {
            walk.take(entry, &mut findings);
        }
        assert_eq!(walk.sums, Sums { credits: 1_000, adjustments: -50, charges: -500, reversals: 400 });
        assert_eq!((walk.sellers[&SELLER], walk.treasury), (850, -950));
        assert_eq!(walk.phones[&989_123_456_789], PhoneBooks { balance: 100, charges: 2 });
    }

    #[test]
    fn a_gap_breaks_numbering() {
        let mut entries = honest().entries;
        entries.remove(2);
        assert!(broken(&entries).contains(&Promise::Numbered));
    }

    #[test]
    fn a_changed_text_breaks_the_chain_alone() {
        let mut entries = honest().entries;
        entries[1].actor = "someone else".to_owned();
        assert_eq!(broken(&entries), [Promise::DigestChain]);
        let mut entries = honest().entries;
        entries[1].caller_reference = None;
        assert_eq!(broken(&entries), [Promise::DigestChain]);
    }

    #[test]
    fn one_fault_counts_once_whether_its_block_goes_on_or_ends() {
        // Entry 1 is alone in its block, and the other four share the next one.
        for changed in [0, 1, 4] {
            let mut entries = honest().entries;
            entries[changed].actor = "someone else".to_owned();
            let (mut walk, mut findings) = (Walk::of(LEDGER), Findings::default());
            for entry in &entries {
                walk.take(entry, &mut findings);
            }
            let faults: Vec<_> =
                findings.all().into_iter().filter(|finding| finding.verdict == Verdict::Broken).collect();
            assert_eq!(faults.iter().map(|finding| finding.faults).collect::<Vec<_>>(), [1], "entry {}", changed + 1);
        }
    }

    #[test]
    fn a_balance_below_zero_is_found() {
        assert_eq!(broken(&honest().add(EntryKind::Adjustment, -851, 14).entries), [Promise::NeverNegative]);
    }

    #[test]
    fn what_happens_twice_is_found() {
        assert_eq!(broken(&honest().add(EntryKind::Credit, 1_000, 10).entries), [Promise::RequestsOnce]);
        assert_eq!(broken(&honest().add(EntryKind::Charge, -100, 12).entries), [Promise::ChargesOnce]);
        assert_eq!(
            broken(&honest().add(EntryKind::Reversal, 400, 11).entries),
            [Promise::ReversalsOnce, Promise::PhoneBalances]
        );
    }

    #[test]
    fn a_reversal_of_another_amount_or_of_nothing_is_found() {
        assert_eq!(broken(&honest().add(EntryKind::Reversal, 99, 12).entries), [Promise::ReversalsOnce]);
        assert_eq!(broken(&honest().add(EntryKind::Reversal, 100, 99).entries), [Promise::ReversalsOnce]);
    }

    #[test]
    fn a_charge_that_gives_credit_is_found() {
        let found = broken(&honest().add(EntryKind::Charge, 5, 14).entries);
        assert!(found.contains(&Promise::DoubleEntry), "{found:?}");
    }
}
