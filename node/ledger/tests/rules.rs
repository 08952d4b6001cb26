//! The rules of the ledger, one fact a test.
#![expect(clippy::cast_possible_truncation, reason = "a history in memory is indexed by its records' numbers")]

mod book;

use book::{ADMIN, Book, WINDOW_MS, amount, made, phone, refusal};
use ledger::{
    Action, AddNode, Address, Adjust, Balance, Charge, Charged, Digest, EntryChain, Event, Grant, IdKind, IdSpace,
    MAX_MINOR, NodeAddresses, Outcome, Phone, PromoteNode, RULES_NODES, RaiseRules, RecordChain, Refusal, RegisterNode,
    Rejection, RemoveNode, RequestCredit, RevokeKey, SellerStatus, State, Time, Verdict,
};
use uuid::Uuid;

fn balance(minor: u64) -> Balance {
    Balance::try_from(minor).unwrap()
}

#[test]
fn a_charge_moves_its_amount_to_the_phone() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, 10_000);
    made(book.charge(key, "k1", 4_000));
    assert_eq!(book.balance(seller), 6_000);
    assert_eq!(book.state.phone(phone(0)).unwrap().balance, balance(4_000));
    assert_eq!(book.state.totals().treasury, -10_000);
}

#[test]
fn the_same_key_charges_once() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, 10_000);
    let first = made(book.charge(key, "k1", 4_000));
    assert_eq!(book.charge(key, "k1", 4_000), Outcome::Replay(first));
    assert_eq!(book.balance(seller), 6_000);
}

#[test]
fn a_key_reused_for_another_charge_moves_nothing() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, 10_000);
    made(book.charge(key, "k1", 4_000));
    assert_eq!(book.charge(key, "k1", 4_001), Outcome::Rejected(Rejection::KeyReused));
    let other_kind =
        Action::RequestCredit(RequestCredit { amount: amount(4_000), note: ledger::Note::empty(), reference: None });
    assert_eq!(book.by(key, "k1", other_kind), Outcome::Rejected(Rejection::KeyReused));
    assert_eq!(book.balance(seller), 6_000);
}

#[test]
fn a_refusal_under_a_key_stays_even_when_credit_has_come() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    let first = book.charge(key, "k1", 4_000);
    assert_eq!(refusal(&first), Refusal::InsufficientCredit { balance: Balance::ZERO });
    book.credit(key, 10_000);
    let Outcome::New(record) = first else { panic!("recorded") };
    assert_eq!(book.charge(key, "k1", 4_000), Outcome::Replay(record.number));
    made(book.charge(key, "k2", 4_000));
}

#[test]
fn two_sellers_may_use_the_same_key() {
    let mut book = Book::new();
    let (one, key_one) = book.seller("one");
    let (two, key_two) = book.seller("two");
    book.credit(key_one, 100);
    book.credit(key_two, 100);
    made(book.charge(key_one, "k", 10));
    made(book.charge(key_two, "k", 20));
    assert_eq!((book.balance(one), book.balance(two)), (90, 80));
}

#[test]
fn a_request_is_approved_once_and_the_opposite_verdict_is_refused() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    let asked =
        Action::RequestCredit(RequestCredit { amount: amount(500), note: ledger::Note::empty(), reference: None });
    let request = made(book.by(key, "r1", asked));
    let verdict = made(book.approve(request));
    assert_eq!(book.approve(request), Outcome::Replay(verdict));
    let opposite = book.decide_credit(request, Verdict::Rejected);
    assert_eq!(
        opposite,
        Outcome::Rejected(Rejection::Conflict(Refusal::RequestDecided { verdict: Verdict::Approved }))
    );
    assert_eq!(book.balance(seller), 500);
}

#[test]
fn neither_a_charge_nor_a_decrease_goes_below_zero() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, 100);
    let expected = Refusal::InsufficientCredit { balance: balance(100) };
    assert_eq!(refusal(&book.charge(key, "k1", 101)), expected);
    assert_eq!(refusal(&book.adjust(seller, "a1", -101)), expected);
    made(book.adjust(seller, "a2", -100));
    assert_eq!(book.balance(seller), 0);
}

#[test]
fn a_charge_is_reversed_once_and_whole() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, 100);
    let charge = made(book.charge(key, "k1", 60));
    let reversal = made(book.reverse(charge, "v1"));
    assert_eq!(book.reverse(charge, "v1"), Outcome::Replay(reversal));
    assert_eq!(refusal(&book.reverse(charge, "v2")), Refusal::ChargeReversed);
    assert_eq!(book.reverse(seller, "v3"), Outcome::Rejected(Rejection::UnknownCharge));
    assert_eq!(book.balance(seller), 100);
    assert_eq!(book.state.phone(phone(0)).unwrap().balance, Balance::ZERO);
}

#[test]
fn a_suspended_seller_cannot_charge_but_its_requests_can_be_approved() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    let asked =
        Action::RequestCredit(RequestCredit { amount: amount(500), note: ledger::Note::empty(), reference: None });
    let request = made(book.by(key, "", asked.clone()));
    book.set_status(seller, SellerStatus::Suspended);
    assert_eq!(refusal(&book.charge(key, "k1", 1)), Refusal::SellerSuspended);
    assert_eq!(refusal(&book.by(key, "k2", asked)), Refusal::SellerSuspended);
    made(book.approve(request));
    book.set_status(seller, SellerStatus::Active);
    made(book.charge(key, "k3", 1));
}

#[test]
fn authorisation_comes_before_replay() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 100);
    made(book.charge(key, "k1", 10));
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key })));
    assert_eq!(book.charge(key, "k1", 10), Outcome::Rejected(Rejection::KeyRevoked));
    let auditor = book.key("auditor", Grant::Auditor);
    assert_eq!(book.charge(auditor, "k1", 10), Outcome::Rejected(Rejection::Forbidden));
    assert_eq!(book.charge(ADMIN, "k1", 10), Outcome::Rejected(Rejection::Forbidden));
}

#[test]
fn the_last_admin_key_cannot_go_and_revoking_again_is_a_replay() {
    let mut book = Book::new();
    let last = book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: ADMIN }));
    assert_eq!(refusal(&last), Refusal::LastAdminKey);
    let second = book.key("second", Grant::Admin);
    let revoked = made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: second })));
    assert_eq!(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: second })), Outcome::Replay(revoked));
    made(book.create_key("", "second", Grant::Admin));
}

#[test]
fn names_are_unique_among_active_keys_and_a_replay_ignores_the_new_secret() {
    let mut book = Book::new();
    let made_first = made(book.create_key("i1", "till", Grant::Auditor));
    assert_eq!(book.create_key("i1", "till", Grant::Auditor), Outcome::Replay(made_first));
    assert_eq!(book.create_key("i1", "till", Grant::Admin), Outcome::Rejected(Rejection::KeyReused));
    assert_eq!(refusal(&book.create_key("i2", "till", Grant::Auditor)), Refusal::NameTaken);
}

#[test]
fn a_ledger_of_older_rules_compares_names_byte_for_byte() {
    let mut old = Book::beginning(ledger::Genesis { rules: 1, ..book::genesis() });
    let first = old.key("till", Grant::Auditor);
    old.key("Till", Grant::Auditor);
    assert_eq!(refusal(&old.create_key("i", "till", Grant::Auditor)), Refusal::NameTaken);
    made(old.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: first })));
    old.key("till", Grant::Auditor);
}

fn raise(book: &mut Book, to: u32) -> Outcome {
    book.by(ledger::SYSTEM_ACTOR, "", Action::RaiseRules(RaiseRules { to }))
}

#[test]
fn rules_are_raised_by_the_cluster_alone_and_never_lowered() {
    let mut book = Book::beginning(ledger::Genesis { rules: 1, ..book::genesis() });
    assert_eq!(book.by(ADMIN, "", Action::RaiseRules(RaiseRules { to: 2 })), Outcome::Rejected(Rejection::Forbidden));
    assert_eq!(raise(&mut book, 1), Outcome::Rejected(Rejection::OutOfPlace));
    made(raise(&mut book, 2));
    assert_eq!(book.state.rules(), 2);
    for lower in [0, 1, 2] {
        assert_eq!(raise(&mut book, lower), Outcome::Rejected(Rejection::OutOfPlace), "{lower}");
    }
    let unknown = ledger::RULES_VERSION + 1;
    assert_eq!(raise(&mut book, unknown), Outcome::Rejected(Rejection::UnknownRules), "the node stops for it");
    assert_eq!(book.state.rules(), 2);
    assert_eq!(found_by_audit(&book), []);
}

#[test]
fn raised_rules_hold_for_the_names_that_are_there() {
    let mut book = Book::beginning(ledger::Genesis { rules: 1, ..book::genesis() });
    let [first, second] = ["till", "Till"].map(|name| book.key(name, Grant::Auditor));
    made(raise(&mut book, 2));
    assert_eq!(refusal(&book.create_key("i1", "TILL", Grant::Auditor)), Refusal::NameTaken);
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: first })));
    assert_eq!(refusal(&book.create_key("i2", "TILL", Grant::Auditor)), Refusal::NameTaken, "the other is active");
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: second })));
    book.key("TILL", Grant::Auditor);
}

#[test]
fn a_retry_finds_its_decision_over_raised_rules() {
    let mut book = Book::beginning(ledger::Genesis { rules: 1, ..book::genesis() });
    let (seller, _) = book.seller("shop");
    let first = book.key("Ops", Grant::Admin);
    let amount = ledger::SignedAmount::new(10).unwrap();
    let adjust = || Action::Adjust(Adjust { seller, amount, reason: ledger::Note::empty() });
    let adjusted = made(book.by(first, "k", adjust()));
    made(raise(&mut book, 2));
    assert_eq!(book.by(first, "k", adjust()), Outcome::Replay(adjusted));
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: first })));
    let second = book.key("ops", Grant::Admin);
    assert_eq!(book.by(second, "k", adjust()), Outcome::Replay(adjusted), "the key that takes its place");
    assert_eq!(book.balance(seller), 10);
    assert_eq!(found_by_audit(&book), []);
}

/// A key of an admin that is revoked, and the one that takes its place; both adjust under one idempotency key.
fn adjusts_again(rules: u32, names: [&str; 2]) -> Outcome {
    let mut book = Book::beginning(ledger::Genesis { rules, ..book::genesis() });
    let (seller, _) = book.seller("shop");
    let amount = ledger::SignedAmount::new(10).unwrap();
    let adjust = || Action::Adjust(Adjust { seller, amount, reason: ledger::Note::empty() });
    let [first, second] = names;
    let first = book.key(first, Grant::Admin);
    made(book.by(first, "k", adjust()));
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: first })));
    let second = book.key(second, Grant::Admin);
    let outcome = book.by(second, "k", adjust());
    let moved = if matches!(outcome, Outcome::Replay(_)) { 10 } else { 20 };
    assert_eq!(book.balance(seller), moved, "{names:?}");
    assert_eq!(found_by_audit(&book), []);
    outcome
}

fn found_by_audit(book: &Book) -> Vec<ledger::Broken> {
    let mut audit = ledger::Audit::new(ledger::TableSeed([1, 2]));
    for record in &book.history {
        let Ok(()) = audit.feed(record, book.history.as_slice());
    }
    audit.compare(&ledger::Claims::of(&book.state));
    audit.report().broken
}

#[test]
fn an_admins_idempotency_keys_outlive_its_api_key_under_each_spelling_of_its_name() {
    let alike = [["ops", "Ops"], ["ops", "ops"], ["\u{e9}cole 1", "E\u{301}COLE  1"], ["علي", "علی"]];
    for names in alike {
        assert!(matches!(adjusts_again(2, names), Outcome::Replay(_)), "{names:?}");
    }
    // Under older rules too, or a retry would act again once the rules are raised.
    assert!(matches!(adjusts_again(1, ["ops", "ops"]), Outcome::Replay(_)));
    assert!(matches!(adjusts_again(1, ["ops", "Ops"]), Outcome::Replay(_)));
    assert!(matches!(adjusts_again(2, ["ops", "oops"]), Outcome::New(_)));
}

#[test]
fn the_longest_folded_names_have_scopes_of_their_own() {
    // Each of these letters folds to three, of two bytes each.
    let long = "\u{390}".repeat(ledger::NAME_CHARS - 1);
    assert!(matches!(adjusts_again(2, [&format!("{long}a"), &format!("{long}b")]), Outcome::New(_)));
    assert!(matches!(adjusts_again(2, [&format!("{long}a"), &format!("{long}A")]), Outcome::Replay(_)));
    let mut book = Book::new();
    let (seller, _) = book.seller("shop");
    let admin = book.key(&long, Grant::Admin);
    for key in ["k1", "k2"] {
        let amount = ledger::SignedAmount::new(10).unwrap();
        made(book.by(admin, key, Action::Adjust(Adjust { seller, amount, reason: ledger::Note::empty() })));
    }
}

#[test]
fn no_balance_passes_the_limit() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, MAX_MINOR);
    assert_eq!(refusal(&book.adjust(seller, "a", 1)), Refusal::LimitExceeded);
    let asked =
        Action::RequestCredit(RequestCredit { amount: amount(1), note: ledger::Note::empty(), reference: None });
    let request = made(book.by(key, "", asked));
    assert_eq!(refusal(&book.approve(request)), Refusal::LimitExceeded);
    made(book.charge(key, "c", MAX_MINOR));
    made(book.approve(request));
    assert_eq!(refusal(&book.charge(key, "d", 1)), Refusal::LimitExceeded, "the phone holds the most it can");
}

#[test]
fn a_key_is_forgotten_exactly_at_the_end_of_its_window() {
    let mut book = Book::new();
    let (seller, key) = book.seller("shop");
    book.credit(key, 100);
    let first = made(book.charge(key, "k1", 10));
    let since = book.now;
    book.now = Time(since.0 + WINDOW_MS - 1);
    assert_eq!(book.charge(key, "k1", 10), Outcome::Replay(first));
    book.now = Time(since.0 + WINDOW_MS);
    let second = made(book.charge(key, "k1", 10));
    assert!(second > first);
    assert_eq!(book.balance(seller), 80);
}

#[test]
fn a_key_used_again_after_its_window_outlives_its_first_decision() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 100);
    made(book.charge(key, "first", 1));
    made(book.charge(key, "again", 1));
    book.now = book.now.after(WINDOW_MS);
    let again = made(book.charge(key, "again", 1));
    made(book.charge(key, "other", 1));
    assert_eq!(book.charge(key, "again", 1), Outcome::Replay(again));
}

#[test]
fn ledger_time_never_goes_back_and_a_refusal_without_record_leaves_it() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 100);
    book.now = Time(50_000);
    assert_eq!(book.charge(999, "k", 1), Outcome::Rejected(Rejection::KeyRevoked));
    assert_eq!(book.state.time(), Time(1_000));
    made(book.charge(key, "k1", 1));
    book.now = Time(2_000);
    made(book.charge(key, "k2", 1));
    assert_eq!(book.history.last().unwrap().time, Time(50_000));
}

#[test]
fn expired_keys_make_room() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 100);
    for i in 0..10 {
        made(book.charge(key, &format!("k{i}"), 1));
    }
    assert_eq!(book.state.keys_held(), 10);
    book.now = book.now.after(WINDOW_MS);
    made(book.charge(key, "later", 1));
    assert_eq!(book.state.keys_held(), 1);
}

#[test]
fn genesis_applies_once() {
    let mut book = Book::new();
    let again = Action::Genesis(book::genesis());
    assert_eq!(book.by(ledger::SYSTEM_ACTOR, "", again.clone()), Outcome::Rejected(Rejection::OutOfPlace));
    assert_eq!(book.by(ADMIN, "", again), Outcome::Rejected(Rejection::OutOfPlace));
}

#[test]
fn a_node_keeps_the_data_directory_that_it_registered_first() {
    let mut book = Book::new();
    let register = |id| Action::RegisterNode(RegisterNode { node: 1, incarnation: Uuid::from_u128(id) });
    made(book.by(ledger::SYSTEM_ACTOR, "", register(1)));
    assert_eq!(book.by(ledger::SYSTEM_ACTOR, "", register(2)), Outcome::Rejected(Rejection::OutOfPlace));
    assert_eq!(book.state.incarnation(1), Some(Uuid::from_u128(1)));
}

fn addresses(host: &str) -> NodeAddresses {
    let address = |port: u16| Address::new(&format!("{host}:{port}")).unwrap();
    NodeAddresses { api: address(7101), peer: address(7121) }
}

fn add(book: &mut Book, above: u64, host: &str) -> Outcome {
    book.by(ADMIN, "", Action::AddNode(AddNode { above, addresses: addresses(host) }))
}

fn added(book: &mut Book, above: u64, host: &str) -> u64 {
    let record = made(add(book, above, host));
    match &book.history[record as usize - 1].event {
        Event::NodeAdded(added) => added.node,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_node_gets_a_number_that_was_never_given() {
    let mut book = Book::new();
    let remove = |node| Action::RemoveNode(RemoveNode { node });
    assert_eq!(added(&mut book, 3, "a"), 4, "after those that the cluster was founded with");
    let first = book.state.records();
    assert_eq!(add(&mut book, 3, "a"), Outcome::Replay(first), "the same addresses are the same node");
    assert_eq!(added(&mut book, 4, "b"), 5);
    made(book.by(ADMIN, "", remove(5)));
    assert_eq!(added(&mut book, 4, "b"), 6, "the number of one that was removed is not given again");
    let promoted = made(book.by(ADMIN, "", Action::PromoteNode(PromoteNode { node: 6 })));
    assert_eq!(add(&mut book, 4, "b"), Outcome::Replay(promoted), "whatever was decided of it since");
    made(book.by(ADMIN, "", remove(9)));
    assert_eq!(added(&mut book, 4, "c"), 10);
}

#[test]
fn an_address_is_one_nodes() {
    let mut book = Book::new();
    added(&mut book, 3, "a");
    let mixed = NodeAddresses { api: addresses("b").api, peer: addresses("a").peer };
    let swapped = NodeAddresses { api: addresses("a").peer, peer: addresses("b").peer };
    for taken in [mixed, swapped] {
        let outcome = book.by(ADMIN, "", Action::AddNode(AddNode { above: 3, addresses: taken }));
        assert_eq!(refusal(&outcome), Refusal::AddressTaken);
    }
}

#[test]
fn a_node_is_promoted_and_removed_once_and_never_comes_back() {
    let mut book = Book::new();
    let promote = |node| Action::PromoteNode(PromoteNode { node });
    let remove = |node| Action::RemoveNode(RemoveNode { node });
    let unknown = Outcome::Rejected(Rejection::UnknownNode);
    assert_eq!(book.by(ADMIN, "", promote(4)), unknown);
    added(&mut book, 3, "a");
    let promoted = made(book.by(ADMIN, "", promote(4)));
    assert_eq!(book.by(ADMIN, "", promote(4)), Outcome::Replay(promoted));
    let removed = made(book.by(ADMIN, "", remove(4)));
    assert_eq!(book.by(ADMIN, "", remove(4)), Outcome::Replay(removed));
    assert_eq!(book.by(ADMIN, "", promote(4)), unknown);
    assert_eq!(book.by(ADMIN, "", remove(0)), unknown);
    let register = Action::RegisterNode(RegisterNode { node: 4, incarnation: Uuid::from_u128(4) });
    assert_eq!(book.by(ledger::SYSTEM_ACTOR, "", register), Outcome::Rejected(Rejection::OutOfPlace));
}

#[test]
fn older_rules_have_no_commands_about_nodes() {
    let mut book = Book::beginning(ledger::Genesis { rules: RULES_NODES - 1, ..book::genesis() });
    assert_eq!(add(&mut book, 3, "a"), Outcome::Rejected(Rejection::NotYet));
    made(book.by(ledger::SYSTEM_ACTOR, "", Action::RaiseRules(RaiseRules { to: RULES_NODES })));
    assert_eq!(added(&mut book, 3, "a"), 4);
}

#[test]
fn ids_name_one_thing_of_one_ledger_in_one_epoch() {
    let ids = IdSpace::new(Uuid::from_u128(1), 1);
    let id = ids.uuid(IdKind::Charge, 42);
    assert_eq!(id.get_version_num(), 8);
    assert_eq!(ids.number(IdKind::Charge, id), Some(42));
    assert_eq!(ids.number(IdKind::Seller, id), None);
    assert_eq!(IdSpace::new(Uuid::from_u128(2), 1).number(IdKind::Charge, id), None);
    assert_eq!(IdSpace::new(Uuid::from_u128(1), 2).number(IdKind::Charge, id), None, "it may name another decision");
    assert_eq!(ids.number(IdKind::Charge, Uuid::nil()), None);
}

#[test]
fn phones_are_e164_and_of_iran_only_mobiles() {
    assert!(Phone::new(989_123_456_789).is_some());
    assert!(Phone::new(1_234_567).is_some());
    assert!(Phone::new(123_456).is_none());
    assert!(Phone::new(1_000_000_000_000_000).is_none());
    assert!(Phone::new(982_112_345_678).is_none());
    assert!(Phone::new(9_891_234_567).is_none());
    assert!(Phone::new(99_412_345_678).is_some());
}

/// The bytes are frozen: if this fails, a new rules version is needed, not a new value here.
#[test]
fn the_digests_of_version_1_stay_as_they_are() {
    let mut book = Book::beginning(ledger::Genesis { rules: 1, ..book::genesis() });
    let (seller, key) = book.seller("shop");
    book.credit(key, 10_000);
    let charge = made(book.charge(key, "k1", 4_000));
    refusal(&book.charge(key, "k2", 40_000));
    made(book.adjust(seller, "a1", -1_000));
    made(book.reverse(charge, "v1"));
    book.set_status(seller, SellerStatus::Suspended);
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key })));
    let records = "079c23fdf26384ba649c3fe70bce283ce75ab53432a29ca78e5967b98100b5c4";
    let entries = "96fe72f28998b6f95a2f5a2d58f69b6b0a704e530146eb101631948e6d46e88a";
    assert_eq!(
        (book.state.digest().to_string(), book.state.entry_digest().to_string()),
        (records.into(), entries.into())
    );
    assert_eq!(Digest::from_hex(&book.state.digest().to_string()), Some(book.state.digest()));
}

#[test]
fn the_audit_notices_a_changed_record() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 10_000);
    made(book.charge(key, "k1", 4_000));
    let audit = |history: &[ledger::Record], state: &State| {
        let mut audit = ledger::Audit::new(ledger::TableSeed([1, 2]));
        for record in history {
            let Ok(()) = audit.feed(record, history);
        }
        audit.compare(&ledger::Claims::of(state));
        audit.report()
    };
    assert!(audit(&book.history, &book.state).is_consistent());
    let mut forged = book.history.clone();
    let Some(Event::Charged(Charged { amount, .. })) = forged.last_mut().map(|record| &mut record.event) else {
        panic!()
    };
    *amount = book::amount(3_000);
    assert!(!audit(&forged, &book.state).is_consistent());
    assert!(!audit(&book.history[..book.history.len() - 1], &book.state).is_consistent());
}

#[test]
fn the_same_amount_to_another_phone_is_other_content() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 100);
    made(book.charge(key, "k", 10));
    let elsewhere = Action::Charge(Charge { phone: phone(1), amount: amount(10), reference: None });
    assert_eq!(book.by(key, "k", elsewhere), Outcome::Rejected(Rejection::KeyReused));
}

#[test]
fn room_is_what_is_free_and_what_has_expired() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 100);
    for i in 0..10 {
        made(book.charge(key, &format!("k{i}"), 1));
    }
    let free = book::KEYS_MAX - 10;
    assert_eq!(book.state.key_capacity(book.now, u64::MAX), free);
    assert_eq!(book.state.key_capacity(book.now, 5), 5);
    assert_eq!(book.state.key_capacity(book.now.after(WINDOW_MS), u64::MAX), free + 10);
}

/// Three pages of a ledger, with refusals between its entries and a page that begins with one.
fn three_pages() -> Book {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 1_000);
    for i in 0..150 {
        book.now.0 += 10;
        let sum = if i % 3 == 2 { 100_000 } else { 1 };
        book.charge(key, &format!("k{i}"), sum);
    }
    book
}

#[test]
fn a_page_and_the_mark_before_it_give_every_digest_in_it() {
    let book = three_pages();
    assert_eq!(book.marks.len(), 3);
    let mut state = State::new(ledger::TableSeed([1, 2]));
    let (mut records, mut entries) = (RecordChain::default(), EntryChain::default());
    for record in &book.history {
        state.apply(record);
        let page = ledger::page_of(record.number);
        let mark = book.marks[page as usize];
        assert_eq!(state.page_mark(), mark, "it does not change while the page grows");
        if record.number == mark.first {
            // Nothing of the pages before is used.
            records = RecordChain::before_page(page, mark.record_digest);
            entries = EntryChain::before_page(page, mark.entry_digest);
            let before = &book.history[..record.number as usize - 1];
            assert_eq!(mark.time, record.time);
            assert_eq!(mark.ledger, book::genesis().ledger);
            assert_eq!(mark.entries, before.iter().filter(|record| record.movement().is_some()).count() as u64);
            assert_eq!(mark.keyed, before.iter().filter(|record| record.idempotency_key.is_some()).count() as u64);
        }
        records.push(mark.ledger, record);
        if let Some(entry) = record.entry(state.ids(), state.actor_name(record.actor)) {
            assert_eq!(entry.record, record.number);
            entries.push(mark.ledger, &entry);
        }
        assert_eq!(records.digest(), state.digest(), "record {}", record.number);
        assert_eq!(entries.digest(), state.entry_digest(), "record {}", record.number);
    }
}

#[test]
fn a_journal_alone_gives_its_digest_and_each_of_its_blocks_does() {
    let book = three_pages();
    let ledger = book::genesis().ledger;
    let (state, ids) = (&book.state, book.state.ids());
    let with_entry = book.history.iter().filter(|record| record.movement().is_some());
    let entries: Vec<_> = with_entry.map(|record| record.entry(ids, state.actor_name(record.actor)).unwrap()).collect();
    let mut chain = EntryChain::default();
    for entry in &entries {
        chain.push(ledger, entry);
    }
    assert_eq!(chain.digest(), book.state.entry_digest());
    let last_block = entries.iter().filter(|entry| ledger::page_of(entry.record) == 2);
    let mut chain = EntryChain::before_page(2, book.marks[2].entry_digest);
    last_block.for_each(|entry| chain.push(ledger, entry));
    assert_eq!(chain.digest(), book.state.entry_digest());
}

#[test]
fn two_ledgers_with_the_same_decisions_have_different_digests() {
    let digests = |cluster| {
        let mut book = Book::beginning(ledger::Genesis { ledger: cluster, ..book::genesis() });
        let (_, key) = book.seller("shop");
        book.credit(key, 1_000);
        (book.state.digest(), book.state.entry_digest())
    };
    let (one, other) = (digests(uuid::Uuid::from_u128(1)), digests(uuid::Uuid::from_u128(2)));
    assert!(one.0 != other.0 && one.1 != other.1);
    assert_ne!(one.0, one.1);
}

#[test]
fn the_audit_adds_balances_up_by_itself() {
    let mut book = Book::new();
    let (_, key) = book.seller("shop");
    book.credit(key, 10_000);
    made(book.charge(key, "k1", 4_000));
    let mut forged = book.history.clone();
    let Some(Event::Charged(Charged { balance, .. })) = forged.last_mut().map(|record| &mut record.event) else {
        panic!()
    };
    *balance = Balance::try_from(6_001).unwrap();
    let mut audit = ledger::Audit::new(ledger::TableSeed([1, 2]));
    for record in &forged {
        let Ok(()) = audit.feed(record, forged.as_slice());
    }
    // Even with a chain that fits: the sum of the entries does not.
    let mut claims = ledger::Claims::of(&book.state);
    let mut chain = RecordChain::default();
    for record in &forged {
        chain.push(book.state.ledger_id(), record);
    }
    claims.digest = chain.digest();
    audit.compare(&claims);
    assert!(!audit.report().is_consistent());
}
