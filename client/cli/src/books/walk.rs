//! A walk along the journal: each entry is checked against all before it.

use std::collections::{HashMap, HashSet};

use ledger::{IdKind, RecordNumber, stated_in};
use uuid::Uuid;

use etebar::api::{Entry, EntryKind};

use super::chain::{Chain, TrustedEntry, phone_digits};
use super::promise::{Findings, Promise};

/// What the journal says so far: all of it, or what comes after an entry that is trusted.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The last entry.
    pub(crate) entry: u64,
    /// How many entries were taken.
    pub(crate) taken: u64,
    /// Sums of the entries taken.
    pub(crate) sums: Sums,
    /// Each seller's balance, where one of its entries was taken.
    pub(crate) sellers: HashMap<Uuid, i128>,
    /// Each phone's account, where the whole journal is walked.
    pub(crate) phones: HashMap<u64, PhoneBooks>,
    pub(crate) treasury: i128,
    /// What was credited, by request.
    pub(crate) credited: HashMap<Uuid, Credited>,
    /// Reversals whose charge has not been asked for.
    pub(crate) undone: Vec<Undone>,
    pub(crate) chain: Chain,
    /// Whether it began with the first entry.
    is_whole: bool,
    /// The charges that were reversed.
    reversed: HashSet<Uuid>,
    /// The record of the last charge or adjustment, by its id.
    last_made: RecordNumber,
    /// The record of the last entry.
    record: RecordNumber,
    time: u64,
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

/// A reversal, as far as the charge that it undoes must fit it.
#[derive(Debug, Clone)]
pub(crate) struct Undone {
    /// The entry of the reversal.
    pub(crate) at: u64,
    pub(crate) charge: Uuid,
    pub(crate) seller: Uuid,
    pub(crate) phone: Option<String>,
    pub(crate) amount: i128,
}

impl Walk {
    /// Along the journal of the ledger with this id: from its first entry, or from the one after an entry that is trusted.
    pub(crate) fn after(ledger: Uuid, trusted: Option<TrustedEntry>) -> Walk {
        Walk {
            entry: trusted.map_or(0, |trusted| trusted.entry),
            taken: 0,
            sums: Sums::default(),
            sellers: HashMap::new(),
            phones: HashMap::new(),
            treasury: 0,
            credited: HashMap::new(),
            undone: Vec::new(),
            chain: Chain::after(ledger, trusted),
            is_whole: trusted.is_none(),
            reversed: HashSet::new(),
            last_made: 0,
            record: 0,
            time: 0,
        }
    }

    /// Takes the next entry and checks it.
    pub(crate) fn take(&mut self, entry: &Entry, findings: &mut Findings) {
        let at = entry.entry;
        self.entry += 1;
        self.taken += 1;
        let in_order = at == self.entry && entry.record > self.record && entry.created_at.0 >= self.time;
        findings.check(Promise::Numbered, in_order, || {
            format!("entry {at} at {} stands where {} was due", entry.created_at, self.entry)
        });
        self.record = self.record.max(entry.record);
        self.time = self.time.max(entry.created_at.0);
        self.run(entry, findings);
        findings.check(Promise::NeverNegative, entry.balance.minor() >= 0, || format!("entry {at}: {}", entry.balance));
        let phone = entry.phone.as_deref().and_then(phone_digits);
        self.double_entry(entry, phone, findings);
        self.once(entry, findings);
        self.chain.take(entry, findings);
    }

    /// The balance that the entry states is the seller's last one and its amount.
    fn run(&mut self, entry: &Entry, findings: &mut Findings) {
        let (at, amount) = (entry.entry, entry.amount.minor());
        let before = match self.sellers.insert(entry.seller_id, entry.balance.minor()) {
            Some(before) => before,
            None if self.is_whole => 0,
            // What it was before the first entry that is seen here is not known.
            None => return,
        };
        let due = before.saturating_add(amount);
        findings.check(Promise::RunningBalances, due == entry.balance.minor(), || {
            format!("entry {at}: {due} was due, {} stands", entry.balance)
        });
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
            Some(_) if !self.is_whole => {}
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

    /// What may happen once has not happened before. The id of a charge or of an adjustment states the record that made it, so
    /// these come in order, each once.
    fn once(&mut self, entry: &Entry, findings: &mut Findings) {
        let (at, amount, reference) = (entry.entry, entry.amount.minor(), entry.reference);
        match entry.kind {
            EntryKind::Credit => {
                let credited = Credited { seller: entry.seller_id, amount };
                let new = self.credited.insert(reference, credited).is_none();
                findings.check(Promise::RequestsOnce, new, || format!("entry {at}: {reference} was there before"));
            }
            EntryKind::Adjustment | EntryKind::Charge => {
                let (promise, kind) = match entry.kind {
                    EntryKind::Charge => (Promise::ChargesOnce, IdKind::Charge),
                    EntryKind::Credit | EntryKind::Adjustment | EntryKind::Reversal => {
                        (Promise::DoubleEntry, IdKind::Adjustment)
                    }
                };
                let made = stated_in(reference).filter(|(of, _)| *of == kind).map(|(_, record)| record);
                let is_next = made.is_some_and(|record| record > self.last_made);
                findings.check(promise, is_next, || {
                    format!("entry {at}: {reference} was there before, or does not come after those before it")
                });
                self.last_made = self.last_made.max(made.unwrap_or_default());
            }
            EntryKind::Reversal => {
                let is_first = self.reversed.insert(reference);
                findings.check(Promise::ReversalsOnce, is_first, || {
                    format!("entry {at} undoes charge {reference}: it was reversed before")
                });
                if is_first {
                    let (seller, phone) = (entry.seller_id, entry.phone.clone());
                    self.undone.push(Undone { at, charge: reference, seller, phone, amount });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::ledger_entry;
    use super::super::promise::Verdict;
    use super::*;
    use etebar::api::{AmountOut, Timestamp};
    use ledger::{Digest, EntryChain, IdSpace};

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

        fn add(mut self, kind: EntryKind, amount: i64, record: u64) -> Writer {
            self.balance += amount;
            let phone = matches!(kind, EntryKind::Charge | EntryKind::Reversal).then(|| "+989123456789".to_owned());
            let own = format!("seller:{SELLER}");
            let other = phone.as_ref().map_or("treasury".to_owned(), |phone| format!("phone:{phone}"));
            let (debit, credit) = if amount < 0 { (own, other) } else { (other, own) };
            let number = self.entries.len() as u64 + 1;
            let id_kind = match kind {
                EntryKind::Credit => IdKind::CreditRequest,
                EntryKind::Adjustment => IdKind::Adjustment,
                EntryKind::Charge | EntryKind::Reversal => IdKind::Charge,
            };
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
                reference: IdSpace::default().uuid(id_kind, record),
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
        let (mut walk, mut findings) = (Walk::after(LEDGER, None), Findings::default());
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
        let (mut walk, mut findings) = (Walk::after(LEDGER, None), Findings::default());
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
            let (mut walk, mut findings) = (Walk::after(LEDGER, None), Findings::default());
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
        assert_eq!(broken(&honest().add(EntryKind::Adjustment, -1, 13).entries), [Promise::DoubleEntry]);
        assert_eq!(
            broken(&honest().add(EntryKind::Reversal, 400, 11).entries),
            [Promise::ReversalsOnce, Promise::PhoneBalances]
        );
    }

    #[test]
    fn the_charge_of_each_reversal_is_to_be_asked_for() {
        let (mut walk, mut findings) = (Walk::after(LEDGER, None), Findings::default());
        for entry in &honest().entries {
            walk.take(entry, &mut findings);
        }
        let asked: Vec<_> = walk.undone.iter().map(|undone| (undone.at, undone.amount)).collect();
        assert_eq!(asked, [(4, 400)]);
    }

    #[test]
    fn what_comes_after_a_trusted_entry_is_checked_alone() {
        // Entries 1 and 22 are the last of their pages.
        let more = (0..20).fold(honest(), |writer, more| writer.add(EntryKind::Adjustment, -1, 20 + more));
        let entries = more.entries;
        let at = |entry: usize| {
            let digest = Digest::from_hex(&entries[entry - 1].digest).unwrap();
            TrustedEntry { entry: entry as u64, digest }
        };
        let broken_after = |trusted: TrustedEntry, entries: &[Entry]| {
            let (mut walk, mut findings) = (Walk::after(LEDGER, Some(trusted)), Findings::default());
            for entry in entries {
                walk.take(entry, &mut findings);
            }
            let broken = findings.all().into_iter().filter(|finding| finding.verdict == Verdict::Broken);
            (broken.map(|finding| finding.promise).collect::<Vec<_>>(), walk.chain.resumable())
        };
        let (first, later) = (at(1), at(22));
        assert_eq!(broken_after(first, &entries[1..]), (vec![], Some(later)));
        assert_eq!(broken_after(first, &entries[1..22]), (vec![], Some(first)), "its page may go on");
        assert_eq!(broken_after(later, &entries[22..]), (vec![], Some(later)));
        let wrong = TrustedEntry { digest: at(2).digest, ..first };
        assert_eq!(broken_after(wrong, &entries[1..]).0, [Promise::DigestChain]);
        assert_eq!(broken_after(first, &entries[2..]).0, [Promise::Numbered, Promise::DigestChain]);
        let mut wrong = entries.clone();
        wrong[3].balance = AmountOut::new(901, 0);
        assert!(broken_after(first, &wrong[1..]).0.contains(&Promise::RunningBalances));
    }

    #[test]
    fn a_charge_that_gives_credit_is_found() {
        let found = broken(&honest().add(EntryKind::Charge, 5, 14).entries);
        assert!(found.contains(&Promise::DoubleEntry), "{found:?}");
    }
}
