//! Histories in which a promise was broken by hand, past the rules: an audit names each, and its place.
#![expect(clippy::cast_possible_truncation, reason = "a history in memory is indexed by its records' numbers")]

mod book;

use std::collections::{BTreeMap, HashMap};

use book::{ADMIN, Book, WINDOW_MS, amount, idempotency_key, made, name, phone};
use ledger::{
    Action, Adjusted, Audit, Balance, Broken, Charge, Charged, Claims, CreditApproved, CreditRejected, DecideCredit,
    Digest, EntryChain, Event, Grant, IdSpace, KeyCreated, KeyRevoked, Note, Promise, Record, RecordChain,
    RecordNumber, Refusal, Refused, RequestCredit, RequestShown, Reverse, Reversed, RulesRaised, SYSTEM_ACTOR,
    SellerCreated, SellerSpan, SellerStatus, SellerStatusSet, SignedAmount, Time, Totals, Verdict,
};

/// Two sellers with credit, and records of them to forge.
struct Forger {
    history: Vec<Record>,
    seller: RecordNumber,
    key: RecordNumber,
    other: RecordNumber,
    other_key: RecordNumber,
    /// A charge of 400 and one of 300 to the same phone.
    charge: RecordNumber,
    /// A request of 50 without a verdict.
    request: RecordNumber,
}

impl Forger {
    fn new() -> Self {
        let mut book = Book::new();
        let (seller, key) = book.seller("shop");
        let (other, other_key) = book.seller("other");
        book.credit(key, 1_000);
        book.credit(other_key, 1_000);
        let charge = made(book.charge(key, "k1", 400));
        made(book.charge(key, "k2", 300));
        let request = made(book.by(
            key,
            "r1",
            Action::RequestCredit(RequestCredit { amount: amount(50), note: Note::empty(), reference: None }),
        ));
        Self { history: book.history, seller, key, other, other_key, charge, request }
    }

    /// Adds a record as it stands, whatever the rules say of it.
    fn add(mut self, actor: RecordNumber, key: &str, event: Event) -> Self {
        let last = self.history.last().unwrap();
        let (number, time) = (last.number + 1, last.time);
        let idempotency_key = (!key.is_empty()).then(|| idempotency_key(key));
        self.history.push(Record { number, time, actor, idempotency_key, origin: None, event });
        self
    }

    fn entry(&self) -> u64 {
        self.history.iter().filter(|record| money(record).is_some()).count() as u64 + 1
    }

    fn balance(&self, seller: RecordNumber, moved: i64) -> Balance {
        let own = self.history.iter().filter_map(money).filter(|(of, ..)| *of == seller);
        let sum = own.map(|(_, amount, _)| amount).sum::<i64>() + moved;
        Balance::try_from(sum.max(0).unsigned_abs()).unwrap()
    }

    fn charge(self, actor: RecordNumber, key: &str, seller: RecordNumber, sum: u64) -> Self {
        let (entry, balance) = (self.entry(), self.balance(seller, -sum.cast_signed()));
        let is_charge = |record: &&Record| matches!(record.event, Event::Charged(_));
        let phone_charge = self.history.iter().filter(is_charge).count() as u64 + 1;
        let previous = self.history.iter().rev().find(is_charge).map_or(0, |record| record.number);
        let (phone, amount, reference) = (phone(0), amount(sum), None);
        let charged = Charged { seller, phone, amount, entry, balance, reference, phone_charge, previous };
        self.add(actor, key, Event::Charged(charged))
    }

    fn reverse(self, charge: RecordNumber, seller: RecordNumber, to: u64, sum: u64) -> Self {
        let (entry, balance) = (self.entry(), self.balance(seller, sum.cast_signed()));
        let (phone, amount, reason) = (phone(to), amount(sum), Note::empty());
        self.add(ADMIN, "", Event::Reversed(Reversed { charge, seller, phone, amount, reason, entry, balance }))
    }

    fn shown(&self, seller: RecordNumber, sum: u64) -> RequestShown {
        let created_at = self.history[self.request as usize - 1].time;
        RequestShown {
            number: self.request,
            seller,
            amount: amount(sum),
            note: Note::empty(),
            created_at,
            reference: None,
        }
    }

    fn approve(self, request: RequestShown) -> Self {
        let (entry, balance) = (self.entry(), self.balance(request.seller, request.amount.plus()));
        self.add(ADMIN, "", Event::CreditApproved(CreditApproved { request, reason: Note::empty(), entry, balance }))
    }

    fn reject(self, request: RequestShown) -> Self {
        self.add(ADMIN, "", Event::CreditRejected(CreditRejected { request, reason: Note::empty() }))
    }

    /// The names of what an audit finds, each with the record and the entry where it is broken first.
    #[track_caller]
    fn finds(&self, expected: &[(Promise, Option<u64>)]) {
        let found = found(&self.history, &claims(&self.history));
        let named: Vec<_> = found.iter().map(|broken| (broken.promise, broken.entry)).collect();
        assert_eq!(named, expected, "{found:?}");
        let last = self.history.last().unwrap().number;
        assert!(found.iter().all(|broken| broken.record == last && !broken.detail.is_empty()), "{found:?}");
    }
}

/// Seller, amount from its side, and phone of what a record moved.
fn money(record: &Record) -> Option<(RecordNumber, i64, Option<u64>)> {
    match &record.event {
        Event::CreditApproved(CreditApproved { request, .. }) => Some((request.seller, request.amount.plus(), None)),
        Event::Adjusted(Adjusted { seller, amount, .. }) => Some((*seller, amount.minor(), None)),
        Event::Charged(Charged { seller, phone, amount, .. }) => Some((*seller, amount.minus(), Some(phone.digits()))),
        Event::Reversed(Reversed { seller, phone, amount, .. }) => Some((*seller, amount.plus(), Some(phone.digits()))),
        _ => None,
    }
}

/// What a ledger would claim whose sums and chains fit its records, wrong as these may be.
fn claims(history: &[Record]) -> Claims {
    let ids = IdSpace::new(book::genesis().ledger, 1);
    let mut names = HashMap::from([(SYSTEM_ACTOR, "etebar"), (ADMIN, "admin")]);
    let (mut record_chain, mut entry_chain) = (RecordChain::default(), EntryChain::default());
    let (mut ledger, mut totals) = (uuid::Uuid::nil(), Totals::default());
    let (mut balances, mut entries) = (BTreeMap::new(), 0);
    for record in history {
        if let Event::Genesis(genesis) = &record.event {
            ledger = genesis.ledger;
        }
        record_chain.push(ledger, record);
        match &record.event {
            Event::SellerCreated(_) => *balances.entry(record.number).or_default() = 0,
            Event::KeyCreated(KeyCreated { name, .. }) => *names.entry(record.number).or_default() = name.as_str(),
            _ => {}
        }
        let Some((seller, amount, phone)) = money(record) else { continue };
        entries += 1;
        let actor = names.get(&record.actor).copied().unwrap_or_default();
        entry_chain.push(ledger, &record.entry(&ids, actor).unwrap());
        let amount = i128::from(amount);
        *balances.entry(seller).or_default() += amount;
        totals.sellers += amount;
        *if phone.is_some() { &mut totals.phones } else { &mut totals.treasury } -= amount;
    }
    let (digest, entry_digest) = (record_chain.digest(), entry_chain.digest());
    let (span, phones) = (SellerSpan::default(), BTreeMap::new());
    Claims { records: history.len() as u64, entries, digest, entry_digest, totals, span, balances, phones }
}

fn found(history: &[Record], claims: &Claims) -> Vec<Broken> {
    let mut audit = Audit::new(ledger::TableSeed([1, 2]));
    for record in history {
        let Ok(()) = audit.feed(record, history);
    }
    audit.compare(claims);
    audit.report().broken
}

fn promises(history: &[Record], claims: &Claims) -> Vec<Promise> {
    found(history, claims).into_iter().map(|broken| broken.promise).collect()
}

#[test]
fn an_honest_history_breaks_nothing() {
    let forger = Forger::new();
    let (seller, charge) = (forger.seller, forger.charge);
    let shown = forger.shown(seller, 50);
    let forger = forger.approve(shown).reverse(charge, seller, 0, 400);
    forger.finds(&[]);
    let mut state = ledger::State::new(ledger::TableSeed([1, 2]));
    forger.history.iter().for_each(|record| state.apply(record));
    assert_eq!(Claims::of(&state), claims(&forger.history));
}

#[test]
fn a_second_reversal_is_named() {
    let forger = Forger::new();
    let (seller, key, charge) = (forger.seller, forger.key, forger.charge);
    let twice = forger.reverse(charge, seller, 0, 400).charge(key, "k3", seller, 400);
    twice.reverse(charge, seller, 0, 400).finds(&[(Promise::ReversalsOnce, Some(7))]);
}

#[test]
fn a_reversal_of_nothing_is_named() {
    for nothing in [0, 1, 2, 1_000, u64::MAX] {
        let forger = Forger::new();
        let seller = forger.seller;
        forger.reverse(nothing, seller, 0, 400).finds(&[(Promise::ReversalsOnce, Some(5))]);
    }
    let forger = Forger::new();
    let (seller, request) = (forger.seller, forger.request);
    forger.reverse(request, seller, 0, 50).finds(&[(Promise::ReversalsOnce, Some(5))]);
}

#[test]
fn a_reversal_of_another_amount_seller_or_phone_is_named() {
    let forger = Forger::new;
    let (seller, other, charge) = (forger().seller, forger().other, forger().charge);
    forger().reverse(charge, seller, 0, 399).finds(&[(Promise::ReversalsOnce, Some(5))]);
    forger().reverse(charge, other, 0, 400).finds(&[(Promise::ReversalsOnce, Some(5))]);
    let elsewhere = [(Promise::ReversalsOnce, Some(5)), (Promise::PhoneBalances, Some(5))];
    forger().reverse(charge, seller, 1, 400).finds(&elsewhere);
}

#[test]
fn a_phone_below_zero_is_named() {
    let forger = Forger::new();
    let (seller, charge) = (forger.seller, forger.charge);
    let below = [(Promise::ReversalsOnce, Some(5)), (Promise::PhoneBalances, Some(5))];
    forger.reverse(charge, seller, 0, 701).finds(&below);
}

#[test]
fn a_request_with_two_verdicts_is_named() {
    let forger = Forger::new;
    let shown = forger().shown(forger().seller, 50);
    let twice = [(Promise::RequestsOnce, Some(6))];
    forger().approve(shown.clone()).approve(shown.clone()).finds(&twice);
    forger().reject(shown.clone()).approve(shown.clone()).finds(&[(Promise::RequestsOnce, Some(5))]);
    forger().approve(shown.clone()).reject(shown.clone()).finds(&[(Promise::RequestsOnce, None)]);
    forger().reject(shown.clone()).reject(shown).finds(&[(Promise::RequestsOnce, None)]);
}

#[test]
fn a_verdict_on_another_request_than_was_filed_is_named() {
    let forger = Forger::new;
    let once = [(Promise::RequestsOnce, Some(5))];
    forger().approve(forger().shown(forger().seller, 51)).finds(&once);
    forger().approve(forger().shown(forger().other, 50)).finds(&once);
    for nothing in [0, forger().charge, 1_000] {
        let shown = RequestShown { number: nothing, ..forger().shown(forger().seller, 50) };
        forger().approve(shown).finds(&once);
    }
}

#[test]
fn a_seller_below_zero_is_named() {
    let forger = Forger::new();
    let (seller, key) = (forger.seller, forger.key);
    let below = [(Promise::RunningBalances, Some(5)), (Promise::NeverNegative, Some(5))];
    forger.charge(key, "k3", seller, 301).finds(&below);
}

#[test]
fn a_wrong_running_balance_is_named() {
    let forger = Forger::new();
    let (seller, entry) = (forger.seller, forger.entry());
    let (amount, reason, balance) = (SignedAmount::new(5).unwrap(), Note::empty(), Balance::try_from(306).unwrap());
    let wrong = Event::Adjusted(Adjusted { seller, amount, reason, entry, balance });
    forger.add(ADMIN, "", wrong).finds(&[(Promise::RunningBalances, Some(5))]);
}

#[test]
fn an_entry_of_no_seller_is_named() {
    let forger = Forger::new();
    let (entry, balance, amount) = (forger.entry(), Balance::try_from(5).unwrap(), SignedAmount::new(5).unwrap());
    let unknown = Event::Adjusted(Adjusted { seller: 999, amount, reason: Note::empty(), entry, balance });
    let history = forger.add(ADMIN, "", unknown).history;
    assert!(promises(&history, &claims(&history)).contains(&Promise::SellerBalances));
}

#[test]
fn gaps_and_doubles_in_numbers_are_named() {
    let numbered = |change: &dyn Fn(&mut Record)| {
        let mut history = Forger::new().history;
        change(history.last_mut().unwrap());
        assert_eq!(
            promises(&history, &Claims { records: history.last().unwrap().number, ..claims(&history) }),
            [Promise::Numbered]
        );
    };
    numbered(&|record| record.number += 1);
    numbered(&|record| record.number -= 1);
    let at = Forger::new().entry();
    for entry in [at - 1, at + 1] {
        let forger = Forger::new();
        let (seller, balance, amount) =
            (forger.seller, forger.balance(forger.seller, 5), SignedAmount::new(5).unwrap());
        let event = Event::Adjusted(Adjusted { seller, amount, reason: Note::empty(), entry, balance });
        forger.add(ADMIN, "", event).finds(&[(Promise::Numbered, Some(at))]);
    }
}

#[test]
fn a_history_that_is_cut_short_or_longer_than_the_ledger_is_named() {
    let history = Forger::new().history;
    let whole = claims(&history);
    assert!(promises(&history[..history.len() - 1], &whole).contains(&Promise::Numbered));
    assert!(promises(&history, &claims(&history[..history.len() - 1])).contains(&Promise::Numbered));
}

#[test]
fn time_that_goes_back_is_named() {
    let mut forger = Forger::new();
    forger.history.last_mut().unwrap().time = Time(1);
    forger.finds(&[(Promise::Numbered, None)]);
}

#[test]
fn a_second_genesis_is_named_and_a_ledger_without_one() {
    Forger::new().add(SYSTEM_ACTOR, "", Event::Genesis(book::genesis())).finds(&[(Promise::Numbered, None)]);
    let mut history = Forger::new().history;
    history.remove(0);
    assert!(promises(&history, &claims(&history)).contains(&Promise::Numbered));
}

#[test]
fn a_second_decision_under_a_key_within_its_window_is_named() {
    let after = |ms: u64, seller: RecordNumber, key: RecordNumber| {
        let mut forger = Forger::new().charge(key, "k1", seller, 1);
        forger.history.last_mut().unwrap().time.0 += ms;
        forger
    };
    let Forger { seller, key, other, other_key, .. } = Forger::new();
    after(0, seller, key).finds(&[(Promise::KeysOnce, Some(5))]);
    after(WINDOW_MS - 1, seller, key).finds(&[(Promise::KeysOnce, Some(5))]);
    after(WINDOW_MS, seller, key).finds(&[]);
    after(0, other, other_key).finds(&[]);
    let refusal = Refusal::InsufficientCredit { balance: Balance::ZERO };
    let action = Action::Charge(Charge { phone: phone(0), amount: amount(400), reference: None });
    Forger::new().add(key, "k1", Event::Refused(Refused { action, refusal })).finds(&[(Promise::KeysOnce, None)]);
}

#[test]
fn a_second_decision_under_a_key_of_an_admin_whose_name_was_spelled_anew_is_named() {
    let again = |spelled: &str| {
        let made = |called: &str, secret| {
            Event::KeyCreated(KeyCreated {
                name: name(called),
                grant: Grant::Admin,
                hash: ledger::ApiKeyHash([secret; 32]),
            })
        };
        let take_in = |called: &str| Event::SellerCreated(SellerCreated { name: name(called) });
        let forger = Forger::new().add(ADMIN, "", made("ops", 7));
        let first = forger.history.last().unwrap().number;
        let forger = forger.add(first, "k", take_in("a")).add(ADMIN, "", Event::KeyRevoked(KeyRevoked { key: first }));
        let forger = forger.add(ADMIN, "", made(spelled, 8));
        let second = forger.history.last().unwrap().number;
        forger.add(second, "k", take_in("b"))
    };
    again("Ops").finds(&[(Promise::KeysOnce, None)]);
    again("oops").finds(&[]);
}

#[test]
fn a_decision_for_an_actor_without_the_right_is_named() {
    let Forger { seller, key, other, other_key, .. } = Forger::new();
    let named = [(Promise::Authorised, Some(5))];
    for actor in [ADMIN, other_key, SYSTEM_ACTOR, seller, 999] {
        Forger::new().charge(actor, "", seller, 1).finds(&named);
    }
    Forger::new().add(ADMIN, "", Event::KeyRevoked(KeyRevoked { key })).charge(key, "", seller, 1).finds(&named);
    let suspended = |status| {
        let (name, balance, created_at) = (name("shop"), Balance::ZERO, Time(1));
        Event::SellerStatusSet(SellerStatusSet { seller, status, name, balance, created_at })
    };
    let forger = Forger::new().add(ADMIN, "", suspended(SellerStatus::Suspended));
    forger.charge(key, "", seller, 1).finds(&named);
    let forger = Forger::new().add(ADMIN, "", suspended(SellerStatus::Suspended));
    let forger = forger.add(ADMIN, "", suspended(SellerStatus::Active));
    forger.charge(key, "", seller, 1).charge(other_key, "", other, 1).finds(&[]);
    let refused = |action| Event::Refused(Refused { action, refusal: Refusal::LimitExceeded });
    let reversal = || Action::Reverse(Reverse { charge: 1, reason: Note::empty() });
    let verdict = Action::DecideCredit(DecideCredit { request: 1, verdict: Verdict::Approved, reason: Note::empty() });
    for (actor, action) in [(key, reversal()), (999, reversal()), (SYSTEM_ACTOR, verdict)] {
        Forger::new().add(actor, "", refused(action)).finds(&[(Promise::Authorised, None)]);
    }
    let made =
        Event::KeyCreated(KeyCreated { name: name("thief"), grant: Grant::Admin, hash: ledger::ApiKeyHash([9; 32]) });
    for (actor, to) in [(ADMIN, 3), (SYSTEM_ACTOR, 2), (SYSTEM_ACTOR, 1)] {
        let raised = Event::RulesRaised(RulesRaised { to });
        Forger::new().add(actor, "", raised).finds(&[(Promise::Authorised, None)]);
    }
    for actor in [key, SYSTEM_ACTOR] {
        Forger::new().add(actor, "", made.clone()).finds(&[(Promise::Authorised, None)]);
    }
}

type Lie = fn(&mut Claims);

#[test]
fn a_ledger_that_claims_other_sums_or_chains_than_its_records_have_is_named() {
    let history = Forger::new().history;
    let honest = || claims(&history);
    let cases: [(Lie, Promise); 8] = [
        (|claims| claims.totals.treasury -= 1, Promise::SumsEqual),
        (|claims| claims.totals.sellers += 1, Promise::SumsEqual),
        (|claims| claims.totals.phones += 1, Promise::PhoneBalances),
        (|claims| *claims.balances.first_entry().unwrap().get_mut() += 1, Promise::SellerBalances),
        (|claims| claims.balances.retain(|seller, _| *seller != 2), Promise::SellerBalances),
        (|claims| *claims.balances.entry(999).or_default() = 0, Promise::SellerBalances),
        (|claims| claims.entry_digest = Digest([7; 32]), Promise::DigestChain),
        (|claims| claims.digest = Digest([7; 32]), Promise::RecordChain),
    ];
    for (change, promise) in cases {
        let mut claims = honest();
        change(&mut claims);
        assert_eq!(promises(&history, &claims), [promise]);
    }
}

#[test]
fn a_page_whose_published_digests_are_not_its_entries_is_named() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 1_000);
    for i in 0..200 {
        made(book.charge(key, &format!("k{i}"), 1));
    }
    let broken = |change: &dyn Fn(&mut ledger::PageMark)| {
        let mut audit = Audit::new(ledger::TableSeed([1, 2]));
        for record in &book.history {
            if record.number % ledger::PAGE_RECORDS == 1 {
                let page = ledger::page_of(record.number);
                let mut mark = book.marks[page as usize];
                if page == 2 {
                    change(&mut mark);
                }
                audit.compare_mark(&mark);
            }
            let Ok(()) = audit.feed(record, book.history.as_slice());
        }
        audit.compare(&Claims::of(&book.state));
        let broken = audit.report().broken;
        broken.iter().map(|broken| (broken.promise, broken.record)).collect::<Vec<_>>()
    };
    assert_eq!(broken(&|_| ()), []);
    assert_eq!(broken(&|mark| mark.entry_digest = Digest::ZERO), [(Promise::DigestChain, 129)]);
    assert_eq!(broken(&|mark| mark.record_digest = Digest::ZERO), [(Promise::RecordChain, 129)]);
    assert_eq!(broken(&|mark| mark.entries += 1), [(Promise::RecordChain, 129)]);
}

#[test]
fn however_much_is_broken_the_report_is_bounded_and_counts() {
    let mut forger = Forger::new();
    let (seller, key) = (forger.seller, forger.key);
    for _ in 0..500 {
        forger = forger.charge(key, "k1", seller, 900);
    }
    let found = found(&forger.history, &claims(&forger.history));
    let named: Vec<_> = found.iter().map(|broken| (broken.promise, broken.faults)).collect();
    assert_eq!(named, [(Promise::RunningBalances, 500), (Promise::NeverNegative, 500), (Promise::KeysOnce, 500)]);
}

/// A book of so many sellers, each with credit and a charge to a phone of its own.
fn many_sellers(count: u64) -> (Book, Audit) {
    let (mut book, mut audit) = (Book::new(), Audit::new(ledger::TableSeed([1, 2])));
    for number in 0..count {
        let (_, key) = book.seller(&format!("shop {number}"));
        book.credit(key, 1_000);
        made(book.by(key, "k", Action::Charge(Charge { phone: phone(number), amount: amount(1), reference: None })));
    }
    feed_all(&mut audit, &book.history);
    (book, audit)
}

fn feed_all(audit: &mut Audit, history: &[Record]) {
    for record in &history[audit.records() as usize..] {
        let Ok(()) = audit.feed(record, history);
    }
}

#[test]
fn single_accounts_are_compared_in_turn_a_few_at_a_time() {
    const SELLERS: u64 = 23;
    let (mut book, mut audit) = many_sellers(SELLERS);
    let (mut sellers, mut phones, mut rounds) = (BTreeMap::new(), BTreeMap::new(), 0);
    while sellers.len() < SELLERS as usize || phones.len() < SELLERS as usize {
        let accounts = audit.accounts_to_ask(5, 4);
        let claims = Claims::with(&book.state, &accounts);
        assert!(claims.balances.len() <= 5 && claims.phones.len() <= 4, "{claims:?}");
        audit.compare(&claims);
        sellers.extend(claims.balances);
        phones.extend(claims.phones);
        rounds += 1;
        assert!(rounds <= 10, "{} sellers and {} phones after {rounds} rounds", sellers.len(), phones.len());
        // The ledger grows meanwhile.
        book.adjust(2, "", 1);
        feed_all(&mut audit, &book.history);
    }
    assert_eq!(audit.report().broken, []);
}

#[test]
fn a_single_account_that_is_off_is_named_when_its_turn_comes() {
    let named = |lie: &dyn Fn(&mut Claims)| {
        let (book, mut audit) = many_sellers(9);
        for _ in 0..3 {
            let accounts = audit.accounts_to_ask(3, 9);
            let mut claims = Claims::with(&book.state, &accounts);
            lie(&mut claims);
            audit.compare(&claims);
        }
        audit.report().broken.iter().map(|broken| (broken.promise, broken.faults)).collect::<Vec<_>>()
    };
    assert_eq!(named(&|_| ()), []);
    assert_eq!(
        named(&|claims| claims.balances.values_mut().for_each(|balance| *balance += 1)),
        [(Promise::SellerBalances, 9)]
    );
    let last = many_sellers(9).0.state.sellers_after(0).last().map(|(number, _)| *number).unwrap();
    assert_eq!(named(&|claims| claims.balances.retain(|number, _| *number != last)), [(Promise::SellerBalances, 1)]);
    let of_phone = |claims: &mut Claims| {
        let balance = claims.phones.get_mut(&phone(8)).unwrap();
        *balance -= 1;
    };
    assert_eq!(named(&of_phone), [(Promise::PhoneBalances, 3)]);
}

/// However many keys there were before, those within the window are found, and no others.
#[test]
fn a_key_is_found_again_within_its_window_whatever_was_dropped() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, 1_000_000);
    for i in 0..30_000 {
        book.now.0 += 1;
        made(book.charge(key, &format!("k{i}"), 1));
    }
    assert_eq!(found(&book.history, &Claims::of(&book.state)), []);
    let again = |at: u64| {
        let forger =
            Forger { history: book.history.clone(), seller, key, other: 0, other_key: 0, charge: 0, request: 0 };
        let mut forger = forger.charge(key, &format!("k{at}"), seller, 1);
        let history = std::mem::take(&mut forger.history);
        promises(&history, &claims(&history))
    };
    // The window is 10,000 ms, and a key was made each.
    for (at, expected) in [(29_999, true), (25_000, true), (20_000, true), (19_999, false), (0, false)] {
        assert_eq!(again(at).contains(&Promise::KeysOnce), expected, "key {at}");
    }
}

/// Reading fails, and the record is taken at the next try as if nothing had been.
#[test]
fn a_record_whose_subject_cannot_be_read_is_not_taken() {
    struct Unreadable;
    impl ledger::Past for Unreadable {
        type Error = ();
        fn record(&self, _number: RecordNumber) -> Result<Option<std::sync::Arc<Record>>, ()> {
            Err(())
        }
    }
    let forger = Forger::new();
    let (seller, charge) = (forger.seller, forger.charge);
    let history = forger.reverse(charge, seller, 0, 400).history;
    let (last, before) = history.split_last().unwrap();
    let mut audit = Audit::new(ledger::TableSeed([1, 2]));
    feed_all(&mut audit, before);
    assert_eq!(audit.feed(last, &Unreadable), Err(()));
    assert_eq!(audit.records(), before.len() as u64);
    let Ok(()) = audit.feed(last, history.as_slice());
    audit.compare(&claims(&history));
    assert_eq!(audit.report().broken, []);
}
