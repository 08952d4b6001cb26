//! Random command sequences, against a naive model: what must hold for all of them.
//!
//! A sequence that fails is cut down to the few steps that it takes, printed, and kept in `properties.regressions` beside
//! this file, which is run first from then on: commit it. `LEDGER_SEEDS=N` runs N sequences a property.
#![expect(clippy::cast_possible_truncation, reason = "a history in memory is indexed by its records' numbers")]

mod book;

use std::collections::{HashMap, HashSet};

use book::{ADMIN, Book, WINDOW_MS, amount, idempotency_key, made, phone, refusal};
use ledger::{
    Action, Adjust, Adjusted, Audit, AuditBuilder, Charge, Charged, Claims, Command, CreditApproved, CreditRejected,
    DecideCredit, EntryChain, Event, Grant, ImageError, Note, Outcome, Record, RecordNumber, Refusal, Refused,
    Rejection, RequestCredit, Reverse, Reversed, RevokeKey, SellerStatus, SetSellerStatus, SignedAmount, State,
    StateBuilder, Verdict, page_of,
};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;

/// Most steps of a sequence.
const STEPS: usize = 600;
const SELLERS: usize = 3;

/// So many sequences, unless the environment says more.
fn config(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("LEDGER_SEEDS").ok().and_then(|text| text.parse().ok());
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig {
        cases: wanted.unwrap_or(cases),
        failure_persistence: Some(Box::new(kept)),
        ..ProptestConfig::default()
    }
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
            Action::Charge(Charge { amount, .. }) => {
                if self.suspended.contains(&seller) {
                    return Answer::Suspended;
                }
                let answer = self.move_by(seller, amount.minus());
                if let Answer::Done(_) = answer {
                    self.charges.insert(next, (seller, amount.plus()));
                }
                answer
            }
            Action::RequestCredit(RequestCredit { amount, .. }) => {
                if self.suspended.contains(&seller) {
                    return Answer::Suspended;
                }
                self.requests.insert(next, (seller, amount.plus()));
                Answer::Done(0)
            }
            Action::DecideCredit(DecideCredit { request, verdict, .. }) => {
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
            Action::Adjust(Adjust { seller, amount, .. }) => self.move_by(*seller, amount.minor()),
            Action::Reverse(Reverse { charge, .. }) => {
                let Some((of, sum)) = self.charges.get(charge).copied() else { return Answer::Unknown };
                if !self.reversed.insert(*charge) {
                    return Answer::ReversedAlready;
                }
                self.move_by(of, sum)
            }
            Action::SetSellerStatus(SetSellerStatus { seller, status }) => {
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
        Event::Charged(Charged { balance, .. })
        | Event::Adjusted(Adjusted { balance, .. })
        | Event::Reversed(Reversed { balance, .. })
        | Event::CreditApproved(CreditApproved { balance, .. }) => Answer::Done(balance.signed()),
        Event::Refused(Refused { refusal, .. }) => of_refusal(*refusal),
        _ => Answer::Done(0),
    };
    match outcome {
        Outcome::New(record) => of_record(record),
        Outcome::Replay(number) => of_record(&book.history[*number as usize - 1]),
        Outcome::Rejected(Rejection::KeyReused) => Answer::Reused,
        Outcome::Rejected(Rejection::Conflict(refusal)) => of_refusal(*refusal),
        Outcome::Rejected(Rejection::UnknownCharge | Rejection::UnknownRequest) => Answer::Unknown,
        Outcome::Rejected(other) => panic!("not expected: {other:?}"),
    }
}

fn of_refusal(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::InsufficientCredit { .. } => Answer::Insufficient,
        Refusal::SellerSuspended => Answer::Suspended,
        Refusal::RequestDecided { .. } => Answer::Opposite,
        Refusal::ChargeReversed => Answer::ReversedAlready,
        Refusal::LimitExceeded | Refusal::NameTaken | Refusal::LastAdminKey | Refusal::AddressTaken => {
            panic!("not drawn: {refusal:?}")
        }
    }
}

/// A step of a sequence: time that passes, and what is asked then.
#[derive(Debug, Clone)]
struct Step {
    wait_ms: u64,
    draw: Draw,
}

/// What is asked. An [`Index`] chooses of what is there by then.
#[derive(Debug, Clone)]
enum Draw {
    /// A command that was sent before.
    Again(Index),
    New {
        seller: usize,
        ask: Ask,
        sum: u64,
        record: Index,
        key: u16,
    },
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    Charge { phone: u64 },
    RequestCredit,
    Decide(Verdict),
    Adjust { down: bool },
    Reverse,
    SetStatus(SellerStatus),
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        7 => (0..4_u64).prop_map(|phone| Ask::Charge { phone }),
        2 => Just(Ask::RequestCredit),
        3 => prop_oneof![3 => Just(Verdict::Approved), 1 => Just(Verdict::Rejected)].prop_map(Ask::Decide),
        1 => any::<bool>().prop_map(|down| Ask::Adjust { down }),
        2 => Just(Ask::Reverse),
        1 => prop_oneof![2 => Just(SellerStatus::Active), 1 => Just(SellerStatus::Suspended)].prop_map(Ask::SetStatus),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let new = (0..SELLERS, ask(), 1..=500_u64, any::<Index>(), 0..120_u16)
        .prop_map(|(seller, ask, sum, record, key)| Draw::New { seller, ask, sum, record, key });
    let draw = prop_oneof![3 => new, 1 => any::<Index>().prop_map(Draw::Again)];
    let step = (prop_oneof![2 => Just(0), 1 => 0..1_500_u64], draw);
    vec(step.prop_map(|(wait_ms, draw)| Step { wait_ms, draw }), 1..=STEPS)
}

/// The command of a step, with the seller that it is about; `None` where nothing is there to be sent again.
fn command(
    draw: &Draw,
    sellers: &[(RecordNumber, RecordNumber)],
    sent: &[(RecordNumber, Command)],
    next: u64,
) -> Option<(RecordNumber, Command)> {
    let (seller, ask, sum, record, name) = match draw {
        Draw::Again(_) if sent.is_empty() => return None,
        Draw::Again(index) => return Some(index.get(sent).clone()),
        Draw::New { seller, ask, sum, record, key } => (*seller, *ask, *sum, *record, *key),
    };
    let (seller, key) = sellers[seller];
    let some_record = 1 + record.index(next as usize) as u64;
    let (actor, action) = match ask {
        Ask::Charge { phone: number } => {
            (key, Action::Charge(Charge { phone: phone(number), amount: amount(sum), reference: None }))
        }
        Ask::RequestCredit => (
            key,
            Action::RequestCredit(RequestCredit { amount: amount(sum * 4), note: Note::empty(), reference: None }),
        ),
        Ask::Decide(verdict) => {
            (ADMIN, Action::DecideCredit(DecideCredit { request: some_record, verdict, reason: Note::empty() }))
        }
        Ask::Adjust { down } => {
            let change = if down { -sum.cast_signed() } else { sum.cast_signed() };
            let amount = SignedAmount::new(change).unwrap();
            (ADMIN, Action::Adjust(Adjust { seller, amount, reason: Note::empty() }))
        }
        Ask::Reverse => (ADMIN, Action::Reverse(Reverse { charge: some_record, reason: Note::empty() })),
        Ask::SetStatus(status) => (ADMIN, Action::SetSellerStatus(SetSellerStatus { seller, status })),
    };
    let keyed = !matches!(action, Action::DecideCredit(_) | Action::SetSellerStatus(_));
    let idempotency_key = keyed.then(|| idempotency_key(&format!("k{name}")));
    Some((seller, Command { actor, idempotency_key, origin: None, action }))
}

/// What the parts of a state give, with the records of its last page.
fn read_back(state: &State, history: &[Record]) -> State {
    let mut parts = state.parts();
    let mut builder = StateBuilder::new(parts.next().unwrap()).unwrap();
    parts.for_each(|part| builder.add(part).unwrap());
    let records = state.records();
    let in_page = |record: &&Record| record.number <= records && page_of(record.number) == page_of(records);
    builder.finish(history.iter().filter(in_page)).unwrap()
}

/// What the parts of an audit give, with the page of its last record.
fn read_audit_back(audit: &Audit, book: &Book) -> Result<Audit, ImageError> {
    let mut parts = audit.parts().expect("it has a record and found nothing");
    let mut builder = AuditBuilder::new(parts.next().unwrap())?;
    parts.try_for_each(|part| builder.add(part))?;
    let (records, page) = (audit.records(), page_of(audit.records()));
    let in_page = |record: &&Record| record.number <= records && page_of(record.number) == page;
    builder.finish(&book.marks[page as usize], book.history.iter().filter(in_page))
}

#[test]
fn an_image_of_an_audit_is_not_taken_for_that_of_other_records() {
    let ledger_with = |sum: u64| {
        let (mut book, mut audit) = (Book::new(), Audit::new(ledger::TableSeed([3, 4])));
        let (_, key) = book.seller("shop");
        book.credit(key, 1_000);
        made(book.charge(key, "k", sum));
        for record in &book.history {
            let Ok(()) = audit.feed(record, book.history.as_slice());
        }
        (book, audit)
    };
    let ((book, audit), (other, _)) = (ledger_with(1), ledger_with(2));
    assert!(read_audit_back(&audit, &book).is_ok());
    let refused = read_audit_back(&audit, &other).unwrap_err();
    assert_eq!(refused, ImageError("the history has other records than were audited"));
}

#[test]
fn an_audit_that_found_something_has_no_image() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 1_000);
    let mut audit = Audit::new(ledger::TableSeed([3, 4]));
    assert!(audit.parts().is_none(), "nor one that has seen no record");
    for record in &book.history {
        let Ok(()) = audit.feed(record, book.history.as_slice());
    }
    assert!(audit.parts().is_some());
    let claims = Claims { entries: 9, ..Claims::of(&book.state) };
    audit.compare(&claims);
    assert!(audit.parts().is_none());
}

/// Plays a sequence against the model; gives the book, and what was sent at which time.
fn run(steps: &[Step]) -> (Book, Vec<(u64, Command)>) {
    let mut book = Book::new();
    let mut model = Model::default();
    let sellers: Vec<_> = (0..SELLERS).map(|i| book.seller(&format!("seller {i}"))).collect();
    let (mut sent, mut log) = (Vec::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        book.now.0 += step.wait_ms;
        let next = book.state.records() + 1;
        let Some((seller, command)) = command(&step.draw, &sellers, &sent, next) else { continue };
        let expected = model.answer(seller, &command, next, book.now.0);
        let outcome = book.submit(&command);
        assert_eq!(in_words(&book, &outcome), expected, "step {at}: {command:?} became {outcome:?}");
        for (number, _) in &sellers {
            let kept = book.state.seller(*number).unwrap().balance.signed();
            assert_eq!(kept, model.balance(*number), "step {at}: a balance is the sum of its entries");
        }
        log.push((book.now.0, command.clone()));
        sent.push((seller, command));
    }
    (book, log)
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn every_answer_and_balance_is_the_naive_models(steps in steps()) {
        run(&steps);
    }
}

proptest! {
    #![proptest_config(config(50))]

    #[test]
    fn the_replay_of_the_records_is_the_state(steps in steps()) {
        let (book, _) = run(&steps);
        let mut replayed = State::new(ledger::TableSeed([1, 2]));
        book.history.iter().for_each(|record| replayed.apply(record));
        assert_eq!(replayed.digest(), book.state.digest());
        assert_eq!(replayed.entry_digest(), book.state.entry_digest());
        assert_eq!(replayed.totals(), book.state.totals());
        assert_eq!(replayed.keys_held(), book.state.keys_held());
        assert!(replayed.sellers_after(0).eq(book.state.sellers_after(0)));
    }

    #[test]
    fn an_image_of_the_state_is_the_state_and_goes_on_as_it_does(steps in steps(), at in any::<Index>()) {
        let (book, _) = run(&steps);
        let at = at.index(book.history.len());
        let (before, after) = book.history.split_at(at);
        let mut replayed = State::new(ledger::TableSeed([3, 4]));
        for record in before {
            replayed.apply(record);
        }
        let copy = replayed.clone();
        let mut read = read_back(&copy, &book.history);
        assert_eq!(read.difference(&replayed), None);
        for record in after {
            replayed.apply(record);
            read.apply(record);
        }
        assert_eq!(read.difference(&replayed), None, "after {} of {} records", at, book.history.len());
        assert_eq!(copy.records(), at as u64, "a copy stays as it was");
        assert_eq!(read_back(&copy, &book.history).difference(&copy), None);
    }

    #[test]
    fn an_image_of_the_audit_is_the_audit_and_goes_on_as_it_does(steps in steps(), at in any::<Index>()) {
        let (book, _) = run(&steps);
        let at = 1 + at.index(book.history.len());
        let (before, after) = book.history.split_at(at);
        let mut audit = Audit::new(ledger::TableSeed([3, 4]));
        for record in before {
            let Ok(()) = audit.feed(record, book.history.as_slice());
        }
        let mut read = read_audit_back(&audit, &book).unwrap();
        assert_eq!(read.difference(&audit), None);
        for record in after {
            let Ok(()) = audit.feed(record, book.history.as_slice());
            let Ok(()) = read.feed(record, book.history.as_slice());
        }
        for audit in [&mut audit, &mut read] {
            audit.compare(&Claims::of(&book.state));
        }
        assert_eq!(read.difference(&audit), None, "after {} of {} records", at, book.history.len());
        assert!(read.report().is_consistent(), "{:?}", read.report().broken);
    }

    #[test]
    fn the_same_input_gives_the_same_digest(steps in steps()) {
        let (book, log) = run(&steps);
        let mut again = Book::new();
        (0..SELLERS).for_each(|i| {
            again.seller(&format!("seller {i}"));
        });
        for (now, command) in &log {
            again.now.0 = *now;
            again.submit(command);
        }
        assert_eq!(again.state.digest(), book.state.digest());
    }

    #[test]
    fn at_every_prefix_nothing_is_negative_and_all_accounts_sum_to_zero(steps in steps()) {
        check_prefixes(&run(&steps).0);
    }

    #[test]
    fn one_verdict_a_request_one_reversal_a_charge_one_effect_a_key(steps in steps()) {
        check_once_ness(&run(&steps).0);
    }
}

fn check_prefixes(book: &Book) {
    let (mut state, mut audit) = (State::new(ledger::TableSeed([1, 2])), Audit::new(ledger::TableSeed([1, 2])));
    let (mut entries, mut chain) = (0, EntryChain::default());
    for record in &book.history {
        state.apply(record);
        let Ok(()) = audit.feed(record, book.history.as_slice());
        let totals = state.totals();
        assert_eq!(totals.treasury + totals.sellers + totals.phones, 0);
        if let Some(entry) = record.entry(state.ids(), state.actor_name(record.actor)) {
            entries += 1;
            assert_eq!(entry.number, entries, "entries have no gaps");
            assert!(entry.balance >= 0, "never below zero");
            chain.push(state.ledger_id(), &entry);
        }
        audit.compare(&Claims::of(&state));
        assert!(audit.report().is_consistent(), "record {}", record.number);
    }
    assert_eq!(chain.digest(), book.state.entry_digest(), "the published chain can be recomputed");
}

fn check_once_ness(book: &Book) {
    let (mut verdicts, mut reversals) = (HashSet::new(), HashSet::new());
    let mut keys: HashMap<_, u64> = HashMap::new();
    for record in &book.history {
        match &record.event {
            Event::CreditApproved(CreditApproved { request, .. })
            | Event::CreditRejected(CreditRejected { request, .. }) => {
                assert!(verdicts.insert(request.number), "{record:?}");
            }
            Event::Reversed(Reversed { charge, .. }) => assert!(reversals.insert(*charge), "{record:?}"),
            _ => {}
        }
        let Some(key) = &record.idempotency_key else { continue };
        let grant = book.state.api_key(record.actor).map(|key| key.grant);
        let seller = if let Some(Grant::Seller(number)) = grant { number } else { 0 };
        if let Some(before) = keys.insert((seller, key.as_str().to_owned()), record.time.0) {
            assert!(record.time.0 >= before + WINDOW_MS, "{record:?} came within the window");
        }
    }
}

/// How many keys within their window each seller holds, counted in the history.
/// The last millisecond in a bucket of a sixty-fourth of the window: a key counts for its seller until that is past.
fn end_of_bucket(time: u64) -> u64 {
    let width = WINDOW_MS.div_ceil(64);
    time / width * width + width - 1
}

fn recount(book: &Book, at: u64) -> HashMap<RecordNumber, u64> {
    let mut held = HashMap::new();
    for record in &book.history {
        let grant = book.state.api_key(record.actor).map(|key| key.grant);
        if let (Some(_), Some(Grant::Seller(seller))) = (&record.idempotency_key, grant)
            && at < end_of_bucket(record.time.0) + WINDOW_MS
        {
            *held.entry(seller).or_default() += 1;
        }
    }
    held
}

/// A step of the test of key shares.
#[derive(Debug, Clone)]
struct KeyStep {
    /// Where it is a multiple of the run's lull, `wait_ms` passes.
    roll: u64,
    wait_ms: u64,
    seller: usize,
    key: u16,
    /// The admin corrects the seller's credit instead of a charge.
    adjusts: bool,
    sum: u64,
    /// How long after now the shares are looked at too.
    ahead_ms: u64,
}

fn key_steps() -> impl Strategy<Value = Vec<KeyStep>> {
    let one_in_eight = prop_oneof![7 => Just(false), 1 => Just(true)];
    let drawn = (any::<u64>(), 0..2 * WINDOW_MS, 0..SELLERS, 0..200_u16, one_in_eight, 1..=20_u64, 0..WINDOW_MS + 2);
    let step = drawn.prop_map(|(roll, wait_ms, seller, key, adjusts, sum, ahead_ms)| KeyStep {
        roll,
        wait_ms,
        seller,
        key,
        adjusts,
        sum,
        ahead_ms,
    });
    vec(step, 1..=STEPS)
}

proptest! {
    #![proptest_config(config(200))]

    /// Long bursts and long lulls: many keys expire at once.
    #[test]
    fn the_keys_that_each_seller_holds_are_a_recount_at_any_time(lull in 5..300_u64, steps in key_steps()) {
        let mut book = Book::new();
        let sellers: Vec<_> = (0..SELLERS).map(|i| book.seller(&format!("seller {i}"))).collect();
        for step in &steps {
            if step.roll % lull == 0 {
                book.now.0 += step.wait_ms;
            }
            let (seller, key) = sellers[step.seller];
            let name = format!("k{}", step.key);
            if step.adjusts {
                book.adjust(seller, &name, 50);
            } else {
                book.charge(key, &name, step.sum);
            }
            for at in [book.now.0, book.now.0 + step.ahead_ms] {
                check_shares(&book, &sellers, at);
            }
        }
    }
}

fn check_shares(book: &Book, sellers: &[(RecordNumber, RecordNumber)], at: u64) {
    let shares = book.state.key_shares(ledger::Time(at));
    let expected = recount(book, at);
    for (seller, _) in sellers {
        assert_eq!(shares.held(*seller), expected.get(seller).copied().unwrap_or(0), "time {at}");
    }
    assert_eq!(shares.sellers(), expected.len() as u64, "time {at}");
    let keyed = book.history.iter().filter(|record| record.idempotency_key.is_some());
    let in_use = keyed.filter(|record| at < record.time.0 + WINDOW_MS).count() as u64;
    assert_eq!(book.state.keys_in_use(ledger::Time(at)), in_use, "time {at}");
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

/// Two names of the same words, each with spellings and spaces of its own.
fn alike() -> impl Strategy<Value = (String, String)> {
    let word = select(&SPELLINGS[..]).prop_flat_map(|spellings| (select(spellings), select(spellings)));
    let word = (word, select(&SPACES[..]), select(&SPACES[..]));
    vec(word, 1..5).prop_map(|words| {
        let (mut name, mut again) = (String::new(), String::new());
        for ((one, other), space, other_space) in words {
            let first = name.is_empty();
            name.extend([if first { "" } else { space }, one]);
            again.extend([if first { "" } else { other_space }, other]);
        }
        (name, again)
    })
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn names_that_look_alike_collide_while_the_first_is_active_and_are_free_afterwards(names in vec(alike(), 1..=20)) {
        let mut book = Book::new();
        for (name, again) in &names {
            let first = book.key(name, Grant::Auditor);
            let refused = book.create_key("", again, Grant::Auditor);
            assert_eq!(refusal(&refused), Refusal::NameTaken, "{name:?} and {again:?}");
            made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: first })));
            let second = book.key(again, Grant::Auditor);
            made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: second })));
        }
        let mut replayed = State::new(ledger::TableSeed([1, 2]));
        book.history.iter().for_each(|record| replayed.apply(record));
        assert_eq!(replayed.digest(), book.state.digest());
    }
}
