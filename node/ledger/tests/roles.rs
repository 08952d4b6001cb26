//! Approvers, operators, API keys that end, the policy of the back office, and where an act came from.
#![expect(clippy::cast_possible_truncation, reason = "a history in memory is indexed by its records' numbers")]

mod book;

use std::net::IpAddr;

use book::{ADMIN, Book, WINDOW_MS, amount, made, name, refusal};
use ledger::{
    Action, AddNode, Address, Adjust, ApiKeyHash, Audit, Claims, Command, CreateExpiringKey, CreateKey, CreateSeller,
    DecideCredit, Event, Genesis, Grant, NodeAddresses, Note, Origin, Outcome, Policy, Promise, RULES_RECOVERY,
    RULES_ROLES, RaiseRules, RecordNumber, Refusal, Rejection, RequestCredit, RequestCreditFor, RevokeKey, RotateKey,
    SYSTEM_ACTOR, SellerStatus, SetPolicy, SignedAmount, StateBuilder, TableSeed, Time, Verdict, page_of,
};

const FORBIDDEN: Outcome = Outcome::Rejected(Rejection::Forbidden);
const EXPIRED: Outcome = Outcome::Rejected(Rejection::KeyExpired);
const FOUR_EYES: Outcome = Outcome::Rejected(Rejection::FourEyes);

fn ask(sum: u64) -> RequestCredit {
    RequestCredit { amount: amount(sum), note: Note::empty(), reference: None }
}

fn ask_for(seller: RecordNumber, sum: u64) -> Action {
    Action::RequestCreditFor(RequestCreditFor { seller, request: ask(sum) })
}

fn decide(request: RecordNumber, verdict: Verdict) -> Action {
    Action::DecideCredit(DecideCredit { request, verdict, reason: Note::empty() })
}

fn approve(request: RecordNumber) -> Action {
    decide(request, Verdict::Approved)
}

fn create_seller(called: &str) -> Action {
    Action::CreateSeller(CreateSeller { name: name(called) })
}

fn expiring(called: &str, grant: Grant, secret: u8, expires_at: Time) -> Action {
    let key = CreateKey { name: name(called), grant, hash: ApiKeyHash([secret; 32]) };
    Action::CreateExpiringKey(CreateExpiringKey { key, expires_at })
}

fn rotate(key: RecordNumber, secret: u8, overlap_ms: u64, expires_at: Option<Time>) -> Action {
    Action::RotateKey(RotateKey { key, hash: ApiKeyHash([secret; 32]), overlap_ms, expires_at })
}

fn four_eyes(book: &mut Book, four_eyes: bool) {
    made(book.by(ADMIN, "", Action::SetPolicy(SetPolicy { policy: Policy { four_eyes } })));
}

/// What an audit of these records finds.
fn found(book: &Book) -> Vec<Promise> {
    let mut audit = Audit::new(TableSeed([3, 4]));
    for record in &book.history {
        let Ok(()) = audit.feed(record, book.history.as_slice());
    }
    audit.compare(&Claims::of(&book.state));
    audit.report().broken.iter().map(|broken| broken.promise).collect()
}

/// Reads the state back from its image, and compares.
fn check_image(book: &Book) {
    let mut parts = book.state.parts();
    let mut builder = StateBuilder::new(parts.next().unwrap()).unwrap();
    parts.for_each(|part| builder.add(part).unwrap());
    let page = page_of(book.state.records());
    let read = builder.finish(book.history.iter().filter(|record| page_of(record.number) == page)).unwrap();
    assert_eq!(read.difference(&book.state), None);
}

#[test]
fn an_approver_decides_requests_up_to_its_limit_and_nothing_else() {
    let mut book = Book::new();
    let (seller, till) = book.seller("shop");
    let approver = book.key("approver", Grant::Approver { limit: Some(amount(500)) });
    let [small, large, refused] = [500, 501, 9_000].map(|sum| made(book.by(till, "", Action::RequestCredit(ask(sum)))));
    made(book.by(approver, "", approve(small)));
    assert_eq!(book.by(approver, "", approve(large)), Outcome::Rejected(Rejection::OverLimit));
    made(book.by(approver, "", decide(refused, Verdict::Rejected)));
    made(book.by(ADMIN, "", approve(large)));
    assert_eq!(book.balance(seller), 1_001);
    let amount = SignedAmount::new(5).unwrap();
    let adjust = Action::Adjust(Adjust { seller, amount, reason: Note::empty() });
    for action in
        [create_seller("other"), adjust, Action::RevokeKey(RevokeKey { key: till }), rotate(till, 90, 0, None)]
    {
        assert_eq!(book.by(approver, "", action), FORBIDDEN);
    }
    assert_eq!(book.charge(approver, "", 1), FORBIDDEN);
    assert_eq!(found(&book), []);
}

#[test]
fn an_operator_runs_nodes_and_moves_no_money() {
    let mut book = Book::new();
    let (seller, till) = book.seller("shop");
    let operator = book.key("ops", Grant::Operator);
    let address = |port| Address::new(&format!("a:{port}")).unwrap();
    let add = Action::AddNode(AddNode { above: 3, addresses: NodeAddresses { api: address(1), peer: address(2) } });
    made(book.by(operator, "", add));
    let request = made(book.by(till, "", Action::RequestCredit(ask(5))));
    for action in [approve(request), ask_for(seller, 5), create_seller("other")] {
        assert_eq!(book.by(operator, "", action), FORBIDDEN);
    }
    assert_eq!(found(&book), []);
}

#[test]
fn a_key_is_refused_from_its_end_on_and_its_name_is_free_then() {
    let mut book = Book::new();
    let (seller, _) = book.seller("shop");
    let end = Time(book.now.0 + 100);
    let till = made(book.by(ADMIN, "i", expiring("till", Grant::Seller(seller), 50, end)));
    assert_eq!(book.by(ADMIN, "i", expiring("till", Grant::Seller(seller), 51, end)), Outcome::Replay(till));
    book.now = Time(end.0 - 1);
    made(book.by(till, "", Action::RequestCredit(ask(5))));
    assert_eq!(refusal(&book.create_key("", "Till", Grant::Auditor)), Refusal::NameTaken);
    book.now = end;
    assert_eq!(book.by(till, "", Action::RequestCredit(ask(5))), EXPIRED);
    check_image(&book);
    let second = book.key("Till", Grant::Auditor);
    assert_eq!(refusal(&book.create_key("", "till", Grant::Auditor)), Refusal::NameTaken);
    // That the first one ended is no reason to free the name of the second.
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: till })));
    assert_eq!(refusal(&book.create_key("", "till", Grant::Auditor)), Refusal::NameTaken);
    made(book.by(ADMIN, "", Action::RevokeKey(RevokeKey { key: second })));
    book.key("till", Grant::Auditor);
    check_image(&book);
    assert_eq!(found(&book), []);
}

#[test]
fn both_keys_of_a_rotation_are_valid_for_the_overlap() {
    let mut book = Book::new();
    let (_, old) = book.seller("shop");
    book.credit(old, 1_000);
    let sold = made(book.charge(old, "a", 100));
    let new = made(book.by(ADMIN, "r", rotate(old, 60, 1_000, None)));
    assert_eq!(book.by(ADMIN, "r", rotate(old, 61, 1_000, None)), Outcome::Replay(new), "the secret is no part of it");
    let key = |number| book.state.api_key(number).unwrap();
    assert_eq!((&key(new).name, key(new).grant), (&key(old).name, key(old).grant));
    assert_eq!(book.charge(new, "a", 100), Outcome::Replay(sold), "the scope of idempotency keys is the same");
    made(book.charge(old, "b", 100));
    check_image(&book);
    book.now = Time(book.now.0 + 1_000);
    assert_eq!(book.charge(old, "c", 100), EXPIRED);
    made(book.charge(new, "c", 100));
    assert_eq!(book.by(ADMIN, "", rotate(old, 62, 0, None)), Outcome::Rejected(Rejection::UnknownKey));
    assert_eq!(refusal(&book.create_key("", "shop", Grant::Auditor)), Refusal::NameTaken);
    let newest = made(book.by(ADMIN, "", rotate(new, 63, 0, Some(Time(book.now.0 + 50)))));
    assert_eq!(book.charge(new, "d", 100), EXPIRED, "an overlap of nothing ends it at once");
    made(book.charge(newest, "d", 100));
    book.now = Time(book.now.0 + 50);
    assert_eq!(book.charge(newest, "e", 100), EXPIRED);
    book.key("shop", Grant::Auditor);
    check_image(&book);
    assert_eq!(found(&book), []);
}

#[test]
fn an_admin_key_without_an_end_always_stays() {
    let mut book = Book::new();
    let later = Time(book.now.0 + 500);
    let ending = made(book.by(ADMIN, "", expiring("second", Grant::Admin, 70, later)));
    let revoke = |key| Action::RevokeKey(RevokeKey { key });
    assert_eq!(refusal(&book.by(ending, "", revoke(ADMIN))), Refusal::LastAdminKey);
    assert_eq!(refusal(&book.by(ending, "", rotate(ADMIN, 71, 0, Some(later)))), Refusal::LastAdminKey);
    let rotated = made(book.by(ending, "", rotate(ADMIN, 72, 0, None)));
    assert_eq!(book.by(ADMIN, "", create_seller("x")), EXPIRED);
    assert_eq!(refusal(&book.by(ending, "", revoke(rotated))), Refusal::LastAdminKey);
    made(book.by(rotated, "", revoke(ending)));
    check_image(&book);
    assert_eq!(found(&book), []);
}

#[test]
fn under_four_eyes_nobody_approves_what_they_asked_for() {
    let mut book = Book::new();
    let (seller, till) = book.seller("shop");
    let [one, other] = ["one", "other"].map(|called| book.key(called, Grant::Approver { limit: None }));
    let first = made(book.by(one, "", ask_for(seller, 10)));
    made(book.by(one, "", approve(first)));
    four_eyes(&mut book, true);
    let second = made(book.by(one, "", ask_for(seller, 20)));
    assert_eq!(book.by(one, "", approve(second)), FOUR_EYES);
    let one_again = made(book.by(ADMIN, "", rotate(one, 80, 1_000, None)));
    assert_eq!(book.by(one_again, "", approve(second)), FOUR_EYES, "a new secret makes no new person");
    made(book.by(other, "", approve(second)));
    let own = made(book.by(till, "", Action::RequestCredit(ask(40))));
    made(book.by(one, "", approve(own)));
    let third = made(book.by(one, "", ask_for(seller, 80)));
    made(book.by(one, "", decide(third, Verdict::Rejected)));
    let adjust =
        |sum| Action::Adjust(Adjust { seller, amount: SignedAmount::new(sum).unwrap(), reason: Note::empty() });
    assert_eq!(book.by(ADMIN, "", adjust(5)), FOUR_EYES);
    made(book.by(ADMIN, "", adjust(-5)));
    assert_eq!(book.balance(seller), 65);
    check_image(&book);
    four_eyes(&mut book, false);
    made(book.by(ADMIN, "", adjust(5)));
    book.set_status(seller, SellerStatus::Suspended);
    assert_eq!(refusal(&book.by(ADMIN, "", ask_for(seller, 5))), Refusal::SellerSuspended);
    assert_eq!(found(&book), []);
}

#[test]
fn a_request_for_a_seller_is_asked_once_under_its_key_and_listed_with_the_others() {
    let mut book = Book::new();
    let (seller, _) = book.seller("shop");
    let asked = made(book.by(ADMIN, "k", ask_for(seller, 10)));
    assert_eq!(book.by(ADMIN, "k", ask_for(seller, 10)), Outcome::Replay(asked));
    assert_eq!(book.by(ADMIN, "k", ask_for(seller, 11)), Outcome::Rejected(Rejection::KeyReused));
    assert_eq!(book.state.pending_of_seller_after(seller, 0).collect::<Vec<_>>(), [asked]);
    assert_eq!(book.history[asked as usize - 1].seller(), Some(seller));
}

#[test]
fn an_act_keeps_its_origin_and_what_a_seller_does_has_none() {
    let mut book = Book::new();
    let origin = Some(Box::new(Origin { node: 2, address: IpAddr::from([10, 0, 0, 7]) }));
    let create =
        |called| Command { actor: ADMIN, idempotency_key: None, origin: origin.clone(), action: create_seller(called) };
    let record = made(book.submit(&create("shop")));
    let kept = &book.history[record as usize - 1];
    assert!(kept.origin == origin && kept.is_act());
    let digest = book.state.digest();
    // Where it came from is covered by the digest.
    let mut other = Book::new();
    made(other.by(ADMIN, "", create_seller("shop")));
    assert_ne!(other.state.digest(), digest);
    // Whatever the sender says: a sale is no act.
    let till = book.key("till", Grant::Seller(record));
    let asked = Action::RequestCredit(ask(5));
    let sale = Command { actor: till, idempotency_key: None, origin: origin.clone(), action: asked };
    let filed = made(book.submit(&sale));
    let filed = &book.history[filed as usize - 1];
    assert!(filed.origin.is_none() && !filed.is_act());
    let mut old = Book::beginning(Genesis { rules: RULES_RECOVERY, ..book::genesis() });
    let record = made(old.submit(&create("shop")));
    assert_eq!(old.history[record as usize - 1].origin, None, "builds that know no origin decide the same");
}

#[test]
fn roles_wait_for_their_rules() {
    let mut old = Book::beginning(Genesis { rules: RULES_RECOVERY, ..book::genesis() });
    let (seller, till) = old.seller("shop");
    let not_yet = Outcome::Rejected(Rejection::NotYet);
    let operator = CreateKey { name: name("ops"), grant: Grant::Operator, hash: ApiKeyHash([99; 32]) };
    let newer = [
        Action::CreateKey(operator),
        expiring("x", Grant::Auditor, 98, Time(9)),
        rotate(till, 97, 0, None),
        ask_for(seller, 5),
        Action::SetPolicy(SetPolicy { policy: Policy { four_eyes: true } }),
    ];
    for action in &newer {
        assert_eq!(old.by(ADMIN, "", action.clone()), not_yet);
    }
    made(old.by(SYSTEM_ACTOR, "", Action::RaiseRules(RaiseRules { to: RULES_ROLES })));
    for action in newer {
        made(old.by(ADMIN, "", action));
    }
    assert_eq!(found(&old), []);
}

/// Records that no `decide` makes: an audit names each.
#[test]
fn an_audit_names_what_roles_and_policy_forbid() {
    let forged = |prepare: fn(&mut Book) -> RecordNumber| {
        let mut book = Book::new();
        book.seller("shop");
        let actor = prepare(&mut book);
        let number = book.state.records() + 1;
        let Some(Event::CreditApproved(_) | Event::SellerCreated(_)) = book.history.last().map(|last| &last.event)
        else {
            panic!("what is forged is the last record")
        };
        // The same record as another's, one place before: only who acts is wrong.
        let mut last = book.history.pop().unwrap();
        last.actor = actor;
        book.history.push(last);
        let mut audit = Audit::new(TableSeed([3, 4]));
        for record in &book.history {
            let Ok(()) = audit.feed(record, book.history.as_slice());
        }
        let broken: Vec<_> = audit.report().broken.iter().map(|broken| broken.promise).collect();
        assert_eq!(broken, [Promise::Authorised], "{number}");
    };
    // Over the limit.
    forged(|book| {
        let till = 3;
        let approver = book.key("approver", Grant::Approver { limit: Some(amount(5)) });
        let request = made(book.by(till, "", Action::RequestCredit(ask(6))));
        made(book.approve(request));
        approver
    });
    // By the one who asked.
    forged(|book| {
        let one = book.key("one", Grant::Approver { limit: None });
        four_eyes(book, true);
        let request = made(book.by(one, "", ask_for(2, 6)));
        made(book.approve(request));
        one
    });
    // After its end.
    forged(|book| {
        let end = Time(book.now.0 + WINDOW_MS);
        let ending = made(book.by(ADMIN, "", expiring("second", Grant::Admin, 70, end)));
        book.now = end;
        made(book.by(ADMIN, "", create_seller("late")));
        ending
    });
    // By a role that may not.
    forged(|book| {
        let operator = book.key("ops", Grant::Operator);
        made(book.by(ADMIN, "", create_seller("x")));
        operator
    });
}
