//! Random command sequences, against a naive model: what must hold for all of them.
//!
//! Each seed draws its own sequence; a failing one is printed. `LEDGER_SEEDS=N` runs more of them.

mod book;

use std::collections::{HashMap, HashSet};

use book::{ADMIN, Book, WINDOW_MS, amount, idempotency_key, made, phone, refusal};
use fastrand::Rng;
use ledger::{
    Action, Audit, Change, Claims, Command, Digest, Event, Grant, Note, Outcome, Record, RecordNumber, Refusal,
    Rejection, SellerStatus, State, Verdict, chain_entry,
};

const STEPS: usize = 400;
const SELLERS: usize = 3;

fn seeds() -> u64 {
    std::env::var("LEDGER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// What a caller learns, as the model puts it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Done(i64),
    Insufficient,
    Suspended,
    Opposite,
    ReversedAlready,
    Reused,
    Unknown,
}

/// The books as a person would keep them: a list of movements, and what was answered under each key.
#[derive(Default)]
struct Model {
    entries: Vec<(RecordNumber, i64)>,
    suspended: HashSet<RecordNumber>,
    verdicts: HashMap<RecordNumber, (Verdict, i64)>,
    requests: HashMap<RecordNumber, (RecordNumber, i64)>,
    charges: HashMap<RecordNumber, (RecordNumber, i64)>,
    reversed: HashSet<RecordNumber>,
    answers: HashMap<(RecordNumber, String), (u64, Action, Answer)>,
}

impl Model {
    fn balance(&self, seller: RecordNumber) -> i64 {
        self.entries.iter().filter(|(of, _)| *of == seller).map(|(_, sum)| sum).sum()
    }

    fn move_by(&mut self, seller: RecordNumber, sum: i64) -> Answer {
        if self.balance(seller) + sum < 0 {
            return Answer::Insufficient;
        }
        self.entries.push((seller, sum));
        Answer::Done(self.balance(seller))
    }

    fn answer(&mut self, seller: RecordNumber, command: &Command, next: RecordNumber, now: u64) -> Answer {
        let Some(key) = &command.idempotency_key else { return self.act(seller, command, next) };
        let scope = if command.actor == ADMIN { 0 } else { seller };
        let place = (scope, key.as_str().to_owned());
        match self.answers.get(&place) {
            Some((since, action, answer)) if now < since + WINDOW_MS => {
                if *action == command.action {
                    answer.clone()
                } else {
                    Answer::Reused
                }
            }
            _ => {
                let answer = self.act(seller, command, next);
                if answer != Answer::Unknown {
                    self.answers.insert(place, (now, command.action.clone(), answer.clone()));
                }
                answer
            }
        }
    }

    fn act(&mut self, seller: RecordNumber, command: &Command, next: RecordNumber) -> Answer {
        match &command.action {
            Action::Charge { amount, .. } => {
                if self.suspended.contains(&seller) {
                    return Answer::Suspended;
                }
                let answer = self.move_by(seller, amount.minus());
                if let Answer::Done(_) = answer {
                    self.charges.insert(next, (seller, amount.plus()));
                }
                answer
            }
            Action::RequestCredit { amount, .. } => {
                if self.suspended.contains(&seller) {
                    return Answer::Suspended;
                }
                self.requests.insert(next, (seller, amount.plus()));
                Answer::Done(0)
            }
            Action::DecideCredit { request, verdict, .. } => {
                let Some((of, sum)) = self.requests.get(request).copied() else { return Answer::Unknown };
                if let Some((before, balance)) = self.verdicts.get(request) {
                    return if before == verdict { Answer::Done(*balance) } else { Answer::Opposite };
                }
                let balance = match verdict {
                    Verdict::Approved => self.balance(of) + sum,
                    Verdict::Rejected => 0,
                };
                self.verdicts.insert(*request, (*verdict, balance));
                if *verdict == Verdict::Approved { self.move_by(of, sum) } else { Answer::Done(0) }
            }
            Action::Adjust { seller, amount, .. } => self.move_by(*seller, amount.minor()),
            Action::Reverse { charge, .. } => {
                let Some((of, sum)) = self.charges.get(charge).copied() else { return Answer::Unknown };
                if !self.reversed.insert(*charge) {
                    return Answer::ReversedAlready;
                }
                self.move_by(of, sum)
            }
            Action::SetSellerStatus { seller, status } => {
                match status {
                    SellerStatus::Suspended => self.suspended.insert(*seller),
                    SellerStatus::Active => self.suspended.remove(seller),
                };
                Answer::Done(0)
            }
            other => panic!("not drawn: {other:?}"),
        }
    }
}

/// The ledger's outcome in the model's words.
fn in_words(book: &Book, outcome: &Outcome) -> Answer {
    let of_record = |record: &Record| match &record.event {
        Event::Charged { balance, .. } | Event::Adjusted { balance, .. } | Event::Reversed { balance, .. } => {
            Answer::Done(balance.signed())
        }
        Event::CreditApproved { balance, .. } => Answer::Done(balance.signed()),
        Event::Refused { refusal, .. } => of_refusal(*refusal),
        _ => Answer::Done(0),
    };
    match outcome {
        Outcome::New(record) => of_record(record),
        Outcome::Replay(number) => of_record(&book.history[*number as usize - 1]),
        Outcome::Refused(Rejection::KeyReused) => Answer::Reused,
        Outcome::Refused(Rejection::Conflict(refusal)) => of_refusal(*refusal),
        Outcome::Refused(Rejection::UnknownCharge | Rejection::UnknownRequest) => Answer::Unknown,
        Outcome::Refused(other) => panic!("not expected: {other:?}"),
    }
}

fn of_refusal(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::InsufficientCredit { .. } => Answer::Insufficient,
        Refusal::SellerSuspended => Answer::Suspended,
        Refusal::RequestDecided { .. } => Answer::Opposite,
        Refusal::ChargeReversed => Answer::ReversedAlready,
        Refusal::LimitExceeded | Refusal::NameTaken | Refusal::LastAdminKey => panic!("not drawn: {refusal:?}"),
    }
}

/// A run's commands, with the seller each is about and the clock at which each arrives.
fn draw(
    rng: &mut Rng,
    sellers: &[(RecordNumber, RecordNumber)],
    sent: &[(RecordNumber, Command)],
    next: u64,
) -> (RecordNumber, Command) {
    if !sent.is_empty() && rng.u8(..4) == 0 {
        return sent[rng.usize(..sent.len())].clone();
    }
    let (seller, key) = sellers[rng.usize(..sellers.len())];
    let sum = rng.u64(1..=500);
    let some_record = rng.u64(1..=next);
    let (actor, action) = match rng.u8(..16) {
        0..=6 => (key, Action::Charge { phone: phone(rng.u64(..4)), amount: amount(sum) }),
        7..=8 => (key, Action::RequestCredit { amount: amount(sum * 4), note: Note::empty() }),
        9..=11 => {
            let verdict = if rng.u8(..4) == 0 { Verdict::Rejected } else { Verdict::Approved };
            (ADMIN, Action::DecideCredit { request: some_record, verdict, reason: Note::empty() })
        }
        12 => {
            let change = if rng.bool() { sum.cast_signed() } else { -sum.cast_signed() };
            let amount = Change::new(change).unwrap();
            (ADMIN, Action::Adjust { seller, amount, reason: Note::empty() })
        }
        13..=14 => (ADMIN, Action::Reverse { charge: some_record, reason: Note::empty() }),
        _ => {
            let status = if rng.u8(..3) == 0 { SellerStatus::Suspended } else { SellerStatus::Active };
            (ADMIN, Action::SetSellerStatus { seller, status })
        }
    };
    let keyed = !matches!(action, Action::DecideCredit { .. } | Action::SetSellerStatus { .. });
    let idempotency_key = keyed.then(|| idempotency_key(&format!("k{}", rng.u16(..120))));
    (seller, Command { actor, idempotency_key, action })
}

fn run(seed: u64) -> (Book, Vec<(u64, Command)>) {
    let mut rng = Rng::with_seed(seed);
    let mut book = Book::new();
    let mut model = Model::default();
    let sellers: Vec<_> = (0..SELLERS).map(|i| book.seller(&format!("seller {i}"))).collect();
    let (mut sent, mut log) = (Vec::new(), Vec::new());
    for step in 0..STEPS {
        if rng.u8(..3) == 0 {
            book.now.0 += rng.u64(..1_500);
        }
        let next = book.state.records() + 1;
        let (seller, command) = draw(&mut rng, &sellers, &sent, next);
        let expected = model.answer(seller, &command, next, book.now.0);
        let outcome = book.submit(&command);
        assert_eq!(in_words(&book, &outcome), expected, "seed {seed}, step {step}: {command:?} became {outcome:?}");
        for (number, _) in &sellers {
            let kept = book.state.seller(*number).unwrap().balance.signed();
            assert_eq!(kept, model.balance(*number), "seed {seed}, step {step}: a balance is the sum of its entries");
        }
        log.push((book.now.0, command.clone()));
        sent.push((seller, command));
    }
    (book, log)
}

#[test]
fn every_answer_and_balance_is_the_naive_models() {
    for seed in 0..seeds() {
        run(seed);
    }
}

#[test]
fn the_fold_of_the_records_is_the_state() {
    for seed in 0..seeds().min(50) {
        let (book, _) = run(seed);
        let mut folded = State::new();
        book.history.iter().for_each(|record| folded.apply(record));
        assert_eq!(folded.digest(), book.state.digest(), "seed {seed}");
        assert_eq!(folded.entry_digest(), book.state.entry_digest(), "seed {seed}");
        assert_eq!(folded.totals(), book.state.totals(), "seed {seed}");
        assert_eq!(folded.keys_held(), book.state.keys_held(), "seed {seed}");
        assert!(folded.sellers_after(0).eq(book.state.sellers_after(0)), "seed {seed}");
    }
}

#[test]
fn the_same_input_gives_the_same_digest() {
    for seed in 0..seeds().min(50) {
        let (book, log) = run(seed);
        let mut again = Book::new();
        (0..SELLERS).for_each(|i| {
            again.seller(&format!("seller {i}"));
        });
        for (now, command) in &log {
            again.now.0 = *now;
            again.submit(command);
        }
        assert_eq!(again.state.digest(), book.state.digest(), "seed {seed}");
    }
}

#[test]
fn at_every_prefix_nothing_is_negative_and_all_accounts_sum_to_zero() {
    for seed in 0..seeds().min(50) {
        let (book, _) = run(seed);
        let (mut state, mut audit) = (State::new(), Audit::new());
        let (mut entries, mut digest) = (0, Digest::ZERO);
        for record in &book.history {
            state.apply(record);
            audit.feed(record);
            let totals = state.totals();
            assert_eq!(totals.treasury + totals.sellers + totals.phones, 0, "seed {seed}");
            if let Some(entry) = state.entry(record) {
                entries += 1;
                assert_eq!(entry.number, entries, "seed {seed}: entries have no gaps");
                assert!(entry.balance >= 0, "seed {seed}: never below zero");
                digest = chain_entry(&digest, &entry);
            }
            assert!(audit.clone().report(&Claims::of(&state)).is_consistent(), "seed {seed}: record {}", record.number);
        }
        assert_eq!(digest, book.state.entry_digest(), "seed {seed}: the published chain can be recomputed");
    }
}

#[test]
fn one_verdict_a_request_one_reversal_a_charge_one_effect_a_key() {
    for seed in 0..seeds().min(50) {
        let (book, _) = run(seed);
        let (mut verdicts, mut reversals) = (HashSet::new(), HashSet::new());
        let mut keys: HashMap<_, u64> = HashMap::new();
        for record in &book.history {
            match &record.event {
                Event::CreditApproved { request, .. } | Event::CreditRejected { request, .. } => {
                    assert!(verdicts.insert(request.number), "seed {seed}: {record:?}");
                }
                Event::Reversed { charge, .. } => assert!(reversals.insert(*charge), "seed {seed}: {record:?}"),
                _ => {}
            }
            let Some(key) = &record.idempotency_key else { continue };
            let grant = book.state.api_key(record.actor).map(|key| key.grant);
            let seller = if let Some(Grant::Seller(number)) = grant { number } else { 0 };
            if let Some(before) = keys.insert((seller, key.as_str().to_owned()), record.time.0) {
                assert!(record.time.0 >= before + WINDOW_MS, "seed {seed}: {record:?} came within the window");
            }
        }
    }
}

/// How many keys within their window each seller holds, counted in the history.
fn recount(book: &Book, at: u64) -> HashMap<RecordNumber, u64> {
    let mut held = HashMap::new();
    for record in &book.history {
        let grant = book.state.api_key(record.actor).map(|key| key.grant);
        if let (Some(_), Some(Grant::Seller(seller))) = (&record.idempotency_key, grant)
            && at < record.time.0 + WINDOW_MS
        {
            *held.entry(seller).or_default() += 1;
        }
    }
    held
}

#[test]
fn the_keys_that_each_seller_holds_are_a_recount_at_any_time() {
    for seed in 0..seeds() {
        let mut rng = Rng::with_seed(seed);
        let mut book = Book::new();
        let sellers: Vec<_> = (0..SELLERS).map(|i| book.seller(&format!("seller {i}"))).collect();
        // Long bursts and long lulls: many keys expire at once, and are dropped two by two.
        let lull = rng.u64(5..300);
        for step in 0..STEPS {
            if rng.u64(..lull) == 0 {
                book.now.0 += rng.u64(..2 * WINDOW_MS);
            }
            let (seller, key) = sellers[rng.usize(..SELLERS)];
            let name = format!("k{}", rng.u16(..200));
            match rng.u8(..8) {
                0 => drop(book.adjust(seller, &name, 50)),
                _ => drop(book.charge(key, &name, rng.u64(1..=20))),
            }
            for at in [book.now.0, book.now.0 + rng.u64(..WINDOW_MS + 2)] {
                let shares = book.state.key_shares(ledger::Time(at));
                let expected = recount(&book, at);
                for (seller, _) in &sellers {
                    let held = expected.get(seller).copied().unwrap_or(0);
                    assert_eq!(shares.held(*seller), held, "seed {seed}, step {step}, time {at}");
                }
                assert_eq!(shares.sellers(), expected.len() as u64, "seed {seed}, step {step}, time {at}");
                let keyed = book.history.iter().filter(|record| record.idempotency_key.is_some());
                let in_use = keyed.filter(|record| at < record.time.0 + WINDOW_MS).count() as u64;
                assert_eq!(book.state.keys_in_use(ledger::Time(at)), in_use, "seed {seed}, step {step}, time {at}");
            }
        }
    }
}

/// Pieces of names with other spellings of each that look the same.
const SPELLINGS: [&[&str]; 9] = [
    &["kiosk", "Kiosk", "KIOSK", "kIoSk"],
    &["\u{e9}cole", "e\u{301}cole", "\u{c9}COLE", "E\u{301}COLE"],
    &["stra\u{df}e", "STRASSE", "Strasse"],
    &["\u{1fc3}", "\u{3b7}\u{345}", "\u{3b7}\u{3b9}", "\u{397}\u{399}"],
    &["a\u{323}\u{302}", "a\u{302}\u{323}", "\u{1ead}", "\u{1eac}"],
    &["کیوسک", "كيوسك", "كیوسك"],
    &["رئیس", "رئيس", "ری\u{654}یس"],
    &["می\u{200c}روم", "ميروم"],
    &["\u{1c4}", "\u{1c5}", "\u{1c6}"],
];
const SPACES: [&str; 4] = [" ", "  ", "\u{a0}", " \u{3000}"];

fn spelled(words: &[usize], chance: &mut Rng) -> String {
    let mut name = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            name.push_str(SPACES[chance.usize(..SPACES.len())]);
        }
        name.push_str(SPELLINGS[*word][chance.usize(..SPELLINGS[*word].len())]);
    }
    name
}

#[test]
fn names_that_look_alike_collide_while_the_first_is_active_and_are_free_afterwards() {
    for seed in 0..seeds() {
        let mut chance = Rng::with_seed(seed);
        let mut book = Book::new();
        for _ in 0..20 {
            let words: Vec<usize> = (0..chance.usize(1..5)).map(|_| chance.usize(..SPELLINGS.len())).collect();
            let (name, again) = (spelled(&words, &mut chance), spelled(&words, &mut chance));
            let first = book.key(&name, Grant::Auditor);
            let refused = book.create_key("", &again, Grant::Auditor);
            assert_eq!(refusal(&refused), Refusal::NameTaken, "seed {seed}: {name:?} and {again:?}");
            made(book.by(ADMIN, "", Action::RevokeKey { key: first }));
            let second = book.key(&again, Grant::Auditor);
            made(book.by(ADMIN, "", Action::RevokeKey { key: second }));
        }
        let mut folded = State::new();
        book.history.iter().for_each(|record| folded.apply(record));
        assert_eq!(folded.digest(), book.state.digest(), "seed {seed}");
    }
}
