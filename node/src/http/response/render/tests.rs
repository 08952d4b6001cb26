//! Golden answers of rules version 1. A change here breaks the promise that a replay is byte for byte the first answer;
//! new wording needs a new version of the rules.

use axum::http::StatusCode;
use ledger::{
    Action, Adjusted, Amount, ApiKeyHash, Balance, Charge, Charged, CreditApproved, CreditRejected, CreditRequested,
    Digest, Event, Grant, IdSpace, KeyCreated, KeyRevoked, Name, NodeRegistered, Note, Phone, Record, Reference,
    Refusal, Refused, RequestShown, Reversed, SellerCreated, SellerStatus, SellerStatusSet, SignedAmount, Time,
    Verdict,
};
use uuid::Uuid;

use super::{ChargeWriter, LedgerInfo, Rendered, decision, entry_made, verdict};

fn info(decimals: u32) -> LedgerInfo {
    LedgerInfo { ids: IdSpace::new(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef), 1), decimals }
}

fn record(event: Event) -> Record {
    Record { number: 77, time: Time(1_700_000_000_123), actor: 1, idempotency_key: None, origin: None, event }
}

/// Status and body of the answer, by an admin called ops.
fn answer_to(event: Event) -> (u16, String) {
    let (info, record) = (info(0), record(event));
    let (status, body) = match decision(&info, &record, None).expect("the record answers a request") {
        Rendered::Whole(status, body) => (status, body),
        Rendered::Verdict => (StatusCode::OK, verdict(&info, &record, "ops").expect("a verdict")),
        Rendered::Entry => {
            (StatusCode::CREATED, entry_made(&info, &record, "ops", &Digest([0xab; 32])).expect("an entry"))
        }
    };
    (status.as_u16(), String::from_utf8(body).expect("JSON is UTF-8"))
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn note(text: &str) -> Note {
    Note::new(text).expect("a note")
}

fn amount(minor: u64) -> Amount {
    Amount::new(minor).expect("an amount")
}

fn balance(minor: u64) -> Balance {
    Balance::try_from(minor).expect("a balance")
}

fn phone() -> Phone {
    Phone::new(989_123_456_789).expect("a phone")
}

fn request() -> RequestShown {
    RequestShown {
        number: 70,
        seller: 5,
        amount: amount(1_000_000),
        note: note("for \"November\""),
        created_at: Time(1_699_999_999_000),
        reference: None,
    }
}

fn charged() -> Event {
    Event::Charged(Charged {
        seller: 5,
        phone: phone(),
        amount: amount(5_000),
        entry: 42,
        balance: balance(995_000),
        reference: Reference::new("order-17").ok(),
        phone_charge: 1,
        previous: 0,
    })
}

#[test]
fn decisions_read_as_they_did_when_they_were_made() {
    let events = [
        Event::SellerCreated(SellerCreated { name: name("فروشنده") }),
        Event::SellerStatusSet(SellerStatusSet {
            seller: 5,
            status: SellerStatus::Suspended,
            name: name("one"),
            balance: balance(7),
            created_at: Time(0),
        }),
        Event::KeyCreated(KeyCreated { name: name("till 1"), grant: Grant::Seller(5), hash: ApiKeyHash([1; 32]) }),
        Event::KeyCreated(KeyCreated { name: name("eyes"), grant: Grant::Auditor, hash: ApiKeyHash([1; 32]) }),
        Event::KeyRevoked(KeyRevoked { key: 9 }),
        Event::CreditRequested(CreditRequested { seller: 5, amount: amount(1), note: Note::empty(), reference: None }),
        Event::CreditApproved(CreditApproved {
            request: request(),
            reason: note("paid"),
            entry: 3,
            balance: balance(1_000_000),
        }),
        Event::CreditRejected(CreditRejected { request: request(), reason: Note::empty() }),
        Event::Adjusted(Adjusted {
            seller: 5,
            amount: SignedAmount::new(-500).expect("a change"),
            reason: note("fee"),
            entry: 4,
            balance: balance(0),
        }),
        charged(),
        Event::Reversed(Reversed {
            charge: 60,
            seller: 5,
            phone: phone(),
            amount: amount(5_000),
            reason: note("wrong number"),
            entry: 43,
            balance: balance(5_000),
        }),
    ];
    let told: String = events.map(answer_to).map(|(status, body)| format!("{status} {body}\n")).concat();
    assert_eq!(told, include_str!("golden/decisions.v1.txt"));
}

#[test]
fn refusals_read_as_they_did_when_they_were_made() {
    let refusals = [
        Refusal::InsufficientCredit { balance: balance(4_999) },
        Refusal::SellerSuspended,
        Refusal::RequestDecided { verdict: Verdict::Approved },
        Refusal::RequestDecided { verdict: Verdict::Rejected },
        Refusal::ChargeReversed,
        Refusal::LimitExceeded,
        Refusal::NameTaken,
        Refusal::LastAdminKey,
    ];
    let action = Action::Charge(Charge { phone: phone(), amount: amount(5_000), reference: None });
    let told: String = refusals
        .map(|refusal| answer_to(Event::Refused(Refused { action: action.clone(), refusal })))
        .map(|(status, body)| format!("{status} {body}\n"))
        .concat();
    assert_eq!(told, include_str!("golden/refusals.v1.txt"));
}

#[test]
fn a_written_charge_is_the_serialised_one() {
    for decimals in 0..=4 {
        let info = info(decimals);
        let mut writer = ChargeWriter::new(&info);
        for (seller, minor, time) in [(5, 1, 0), (5, 10_005, 1), (6, 1_000_000_000_000_000, 253_402_300_799_999)] {
            let event = Event::Charged(Charged {
                seller,
                phone: phone(),
                amount: amount(minor),
                entry: minor,
                balance: balance(minor - 1),
                reference: Reference::new("a\"b\\سفارش").ok().filter(|_| minor > 1),
                phone_charge: 1,
                previous: 0,
            });
            let record = Record { time: Time(time), ..record(event) };
            let mut written = Vec::new();
            assert!(writer.write(&mut written, &record));
            let serialised = serde_json::to_vec(&info.charge(&record).expect("a charge")).expect("JSON");
            assert_eq!(String::from_utf8(written), String::from_utf8(serialised));
        }
    }
}

#[test]
fn what_answers_no_request_is_not_rendered() {
    let event = Event::NodeRegistered(NodeRegistered { node: 1, incarnation: Uuid::nil() });
    assert!(decision(&info(0), &record(event.clone()), None).is_none());
    assert!(!ChargeWriter::new(&info(0)).write(&mut Vec::new(), &record(event.clone())));
    assert!(verdict(&info(0), &record(event.clone()), "ops").is_none());
    assert!(entry_made(&info(0), &record(event), "ops", &Digest::ZERO).is_none());
    let revoked = decision(&info(0), &record(Event::KeyRevoked(KeyRevoked { key: 1 })), None);
    assert_eq!(revoked, Some(Rendered::Whole(StatusCode::NO_CONTENT, Vec::new())));
}
