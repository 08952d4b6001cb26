//! `etebar verify` before a ledger whose journal breaks a promise: it names which, and at which entry, and exits with 4.

use std::collections::BTreeMap;

use ledger::{Account, Digest, EntryChain, EntryKind, IdKind, IdSpace, Phone, Time};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{Fake, Reaction, problem};
use crate::program::{code, err, etebar, out};

const LEDGER: Uuid = Uuid::from_u128(7);
const SHOP: Uuid = Uuid::from_u128(2);
const OTHER: Uuid = Uuid::from_u128(3);
/// A charge of 400 to the phone, one of 300, and a request of 1,000.
const CHARGE: u128 = 11;
const CHARGE_2: u128 = 12;
const REQUEST: u128 = 10;

/// One line of a journal as it is forged; what follows from the lines before is made to fit.
#[derive(Clone)]
struct Line {
    kind: EntryKind,
    seller: Uuid,
    amount: i64,
    reference: u128,
    phone: u64,
    ms: u64,
}

fn line(kind: EntryKind, amount: i64, reference: u128) -> Line {
    Line { kind, seller: SHOP, amount, reference, phone: 0, ms: 1_000 }
}

impl Line {
    /// The id that it refers to: of a charge and an adjustment it states the record, as a node's does.
    fn id(&self) -> Uuid {
        let of = |kind| IdSpace::default().uuid(kind, u64::try_from(self.reference).unwrap());
        match self.kind {
            EntryKind::Credit => Uuid::from_u128(self.reference),
            EntryKind::Adjustment => of(IdKind::Adjustment),
            EntryKind::Charge | EntryKind::Reversal => of(IdKind::Charge),
        }
    }
}

/// A node's ledger: an honest one until a test changes it.
struct Forged {
    entries: Vec<Value>,
    requests: Vec<Value>,
    audit: Value,
    balances: BTreeMap<Uuid, i64>,
    phones: BTreeMap<String, (i64, u64)>,
}

fn honest_lines() -> Vec<Line> {
    let other = Line { seller: OTHER, ..line(EntryKind::Credit, 1_000, REQUEST + 90) };
    vec![
        line(EntryKind::Credit, 1_000, REQUEST),
        other,
        line(EntryKind::Charge, -400, CHARGE),
        line(EntryKind::Charge, -300, CHARGE_2),
    ]
}

/// The honest ledger with more lines.
fn with(lines: &[Line]) -> Forged {
    forged(&[honest_lines(), lines.to_vec()].concat(), |_| ())
}

/// A ledger whose sums, balances and digests fit these lines, but for what `change` does to an entry before it is chained.
fn forged(lines: &[Line], change: impl Fn(&mut ledger::Entry<'_>)) -> Forged {
    let (mut chain, mut entries) = (EntryChain::default(), Vec::new());
    let mut balances = BTreeMap::from([(SHOP, 0), (OTHER, 0)]);
    let mut phones: BTreeMap<String, (i64, u64)> = BTreeMap::new();
    let mut sums = [0; 5];
    for (line, number) in lines.iter().zip(1..) {
        let balance = balances.entry(line.seller).or_default();
        *balance += line.amount;
        let phone = matches!(line.kind, EntryKind::Charge | EntryKind::Reversal)
            .then(|| Phone::new(989_123_456_780 + line.phone).unwrap());
        let (own, other) = (Account::Seller(line.seller), phone.map_or(Account::Treasury, Account::Phone));
        let (debit, credit) = if line.amount < 0 { (own, other) } else { (other, own) };
        let mut entry = ledger::Entry {
            number,
            record: 20 * number,
            time: Time(line.ms),
            kind: line.kind,
            seller: line.seller,
            amount: line.amount,
            balance: *balance,
            debit,
            credit,
            reference: line.id(),
            phone,
            actor: "someone",
            caller_reference: None,
        };
        change(&mut entry);
        chain.push(LEDGER, &entry);
        sums[line.kind as usize - 1] += line.amount;
        if let Some(phone) = phone {
            let books = phones.entry(phone.to_string()).or_default();
            books.0 -= line.amount;
            books.1 += u64::from(line.kind == EntryKind::Charge);
            sums[4] -= line.amount;
        }
        entries.push(shown(&entry, &chain.digest()));
    }
    let audit = json!({
        "entries": entries.len(), "head": entries.len(), "sellers": 2, "credits": sums[0].to_string(), "adjustments": sums[1].to_string(),
        "charges": sums[2].to_string(), "reversals": sums[3].to_string(),
        "seller_balances": balances.values().sum::<i64>().to_string(), "phone_balances": sums[4].to_string(),
        "treasury": (-sums[0] - sums[1]).to_string(), "consistent": true, "broken": [], "applied": 9, "digest": "d1",
    });
    let requests = vec![request(REQUEST, SHOP, 1_000, "approved"), request(REQUEST + 90, OTHER, 1_000, "approved")];
    Forged { entries, requests, audit, balances, phones }
}

fn shown(entry: &ledger::Entry<'_>, digest: &Digest) -> Value {
    let mut shown = json!({
        "entry": entry.number, "record": entry.record, "created_at": time(entry.time.0), "kind": format!("{:?}", entry.kind).to_lowercase(),
        "seller_id": entry.seller, "amount": entry.amount.to_string(), "balance": entry.balance.to_string(),
        "debit": entry.debit.to_string(), "credit": entry.credit.to_string(), "reference": entry.reference,
        "actor": entry.actor, "digest": digest.to_string(),
    });
    if let Some(phone) = entry.phone {
        shown["phone"] = json!(phone.to_string());
    }
    shown
}

fn time(ms: u64) -> String {
    format!("1970-01-01T00:00:{:02}.{:03}Z", ms / 1_000, ms % 1_000)
}

fn request(id: u128, seller: Uuid, amount: i64, status: &str) -> Value {
    json!({
        "id": Uuid::from_u128(id), "seller_id": seller, "amount": amount.to_string(), "note": null, "status": status,
        "created_at": time(1), "decided_at": null, "decided_by": null, "reason": null,
    })
}

impl Forged {
    fn serve(self) -> Fake {
        let second = Fake::start(|_, _| {
            let digest = json!({"node": 2, "applied": 9, "digest": "d1"});
            Reaction::Answer(200, vec![], digest.to_string())
        });
        Fake::start(move |asked, _| {
            let path = asked.line.trim_start_matches("GET ").split('?').next().unwrap_or_default();
            match self.body(path, &second.url) {
                Some(body) => Reaction::Answer(200, vec![], body.to_string()),
                None => Reaction::Answer(404, vec![], problem("not_found", 404)),
            }
        })
    }

    fn body(&self, path: &str, second: &str) -> Option<Value> {
        let page = |items: Value| Some(json!({"items": items, "next": null}));
        let seller = |(id, balance): (&Uuid, &i64)| {
            let balance = balance.to_string();
            json!({"id": id, "name": "s", "status": "active", "balance": balance, "created_at": time(1)})
        };
        if let Some(phone) = path.strip_prefix("/v1/phones/%2B") {
            let (balance, charges) = self.phones.get(&format!("+{phone}"))?;
            let (phone, balance) = (format!("+{phone}"), balance.to_string());
            return Some(json!({
                "phone": phone, "balance": balance, "charges": charges, "last_charge_at": time(1),
            }));
        }
        if let Some(charge) = path.strip_prefix("/v1/charges/") {
            return self.charge(charge);
        }
        match path {
            "/v1/credit-requests" => page(json!(self.requests)),
            "/v1/audit" => Some(self.audit.clone()),
            "/v1/sellers" => page(self.balances.iter().map(seller).collect()),
            "/v1/journal" => page(json!(self.entries)),
            "/v1/cluster" => {
                Some(json!({"leader": 1, "term": 1, "applied": 9, "version": "0", "ledger_id": LEDGER, "members": [
                    {"id": 2, "api": second, "peer": "p:1", "role": "voter", "healthy": true, "applied": 9, "lag": 0},
                ]}))
            }
            "/v1/cluster/digest" => Some(json!({"node": 1, "applied": 9, "digest": "d1"})),
            _ => None,
        }
    }

    /// A charge of the journal, and the first entry that reversed it.
    fn charge(&self, id: &str) -> Option<Value> {
        let first = |kind: &str| self.entries.iter().find(|entry| entry["reference"] == id && entry["kind"] == kind);
        let entry = first("charge")?;
        Some(json!({
            "id": id, "entry": entry["entry"], "seller_id": entry["seller_id"], "phone": entry["phone"],
            "amount": entry["amount"].as_str().unwrap().trim_start_matches('-'), "balance": entry["balance"],
            "created_at": entry["created_at"], "reversed_by": first("reversal").map(|entry| entry["entry"].clone()),
        }))
    }

    /// `verify` names these promises and no other, each with a detail that has this text, and exits with 4.
    #[track_caller]
    fn breaks(self, expected: &[(&str, &str)]) {
        let fake = self.serve();
        let output = etebar(&fake.url, &["verify", "--json"]);
        let report: Value = serde_json::from_str(&out(&output)).unwrap_or_else(|_| panic!("{}", err(&output)));
        let promises = report["promises"].as_array().unwrap().iter();
        let broken: Vec<_> = promises.filter(|promise| promise["verdict"] == "broken").collect();
        let names: Vec<_> = broken.iter().map(|promise| promise["promise"].as_str().unwrap()).collect();
        let named: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, named, "{broken:#?}");
        for (promise, (_, detail)) in broken.iter().zip(expected) {
            assert!(promise["detail"].as_str().unwrap().contains(detail), "{promise}");
        }
        assert_eq!(code(&output), if expected.is_empty() { 0 } else { 4 });
        if let Some((_, detail)) = expected.first() {
            let people = etebar(&fake.url, &["verify"]);
            assert_eq!(code(&people), 4);
            assert!(out(&people).contains("BROKEN") && err(&people).contains(detail), "{}", err(&people));
        }
    }
}

#[test]
fn an_honest_journal_with_a_reversal_breaks_nothing() {
    with(&[line(EntryKind::Reversal, 400, CHARGE), line(EntryKind::Adjustment, -5, 13)]).breaks(&[]);
}

#[test]
fn a_reversal_that_undoes_no_charge_once_and_whole_is_named() {
    let reversal = |amount, reference| line(EntryKind::Reversal, amount, reference);
    let once = |lines: &[Line], detail| with(lines).breaks(&[("reversals_once", detail)]);
    let more = line(EntryKind::Charge, -300, 14);
    once(&[more, reversal(400, CHARGE), reversal(400, CHARGE)], "entry 7 undoes charge");
    once(&[reversal(400, 99)], "there is no such charge");
    once(&[reversal(400, REQUEST)], "there is no such charge");
    once(&[reversal(399, CHARGE)], "entry 5 undoes charge");
    once(&[Line { seller: OTHER, ..reversal(400, CHARGE) }], "another seller, phone or amount");
    let to_another_phone = with(&[Line { phone: 1, ..reversal(400, CHARGE) }]);
    to_another_phone.breaks(&[("reversals_once", "entry 5 undoes"), ("phone_balances", "entry 5")]);
}

#[test]
fn a_charge_that_is_in_the_journal_twice_is_named() {
    with(&[line(EntryKind::Charge, -1, CHARGE_2)]).breaks(&[("charges_once", "entry 5")]);
    with(&[line(EntryKind::Charge, -1, CHARGE)]).breaks(&[("charges_once", "entry 5")]);
}

/// From a trusted entry on, what came before is taken for granted, and what it would take to check is said.
#[test]
fn a_check_goes_on_from_a_trusted_entry() {
    // Entries 3 and 6 are the last ones of their pages of records.
    let forged = with(&[
        line(EntryKind::Reversal, 400, CHARGE),
        line(EntryKind::Adjustment, -5, 13),
        line(EntryKind::Adjustment, -5, 14),
    ]);
    let digest = |entry: usize| forged.entries[entry - 1]["digest"].as_str().unwrap().to_owned();
    let (trusted, wrong, last, within) = (digest(3), digest(2), digest(6), digest(5));
    let second =
        Fake::start(|_, _| Reaction::Answer(200, vec![], json!({"node": 2, "applied": 9, "digest": "d1"}).to_string()));
    let fake = Fake::start(move |asked, _| {
        let (path, query) = asked.line.trim_start_matches("GET ").split_once('?').unwrap_or((&asked.line[4..], ""));
        let mut body = forged.body(path, &second.url).unwrap();
        if path == "/v1/journal" {
            let from = query.split('&').find_map(|part| part.strip_prefix("from_entry=")).unwrap();
            body["items"] = json!(forged.entries[from.parse::<usize>().unwrap() - 1..]);
        }
        Reaction::Answer(200, vec![], body.to_string())
    });
    let from = |digest: &str| etebar(&fake.url, &["verify", "--json", "--from", "3", "--digest", digest]);
    let output = from(&trusted);
    let report: Value = serde_json::from_str(&out(&output)).unwrap_or_else(|_| panic!("{}", err(&output)));
    assert_eq!(code(&output), 0, "{report}");
    assert_eq!((&report["entries"], &report["after"]), (&json!(4), &json!(3)));
    assert_eq!(report["resumable"], json!({"entry": 6, "digest": last}));
    let with_verdict = |verdict: &str| {
        let promises = report["promises"].as_array().unwrap().iter().filter(|promise| promise["verdict"] == verdict);
        promises.map(|promise| promise["promise"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(with_verdict("not_checked"), ["sums_equal", "phone_balances"]);
    assert_eq!(with_verdict("kept").len(), 11);
    let people = etebar(&fake.url, &["verify", "--from", "3", "--digest", &trusted]);
    assert!(out(&people).contains(&format!("etebar verify --from 6 --digest {last}")), "{}", out(&people));
    let output = from(&wrong);
    assert_eq!(code(&output), 4);
    assert!(err(&output).contains("the digests chain all entries: entry 4"), "{}", err(&output));
    for arguments in [&["--from", "3"][..], &["--digest", &trusted], &["--from", "3", "--digest", "d"]] {
        assert_eq!(code(&etebar(&fake.url, &[&["verify"], arguments].concat())), 2, "{arguments:?}");
    }
    let beyond = etebar(&fake.url, &["verify", "--from", "8", "--digest", &trusted]);
    assert_eq!(code(&beyond), 2, "{}", err(&beyond));
    let within = etebar(&fake.url, &["verify", "--from", "5", "--digest", &within]);
    assert_eq!(code(&within), 2, "{}", err(&within));
    assert!(err(&within).contains("cannot go on after entry 5"), "{}", err(&within));
    let at_the_end = etebar(&fake.url, &["verify", "--from", "7", "--digest", &trusted]);
    assert_eq!(code(&at_the_end), 4, "{}", err(&at_the_end));
}

/// The journal grows while it is read, and the audit covers what came last.
#[test]
fn entries_that_came_after_the_journal_was_read_to_its_end_are_read_too() {
    let (early, late) = (with(&[]), with(&[line(EntryKind::Charge, -1, 14), line(EntryKind::Adjustment, -5, 15)]));
    let second =
        Fake::start(|_, _| Reaction::Answer(200, vec![], json!({"node": 2, "applied": 9, "digest": "d1"}).to_string()));
    let fake = Fake::start(move |asked, _| {
        let path = asked.line.trim_start_matches("GET ");
        let body = match path.split_once('?') {
            None if path == "/v1/audit" => early.body(path, ""),
            Some((path @ "/v1/sellers", _)) => early.body(path, ""),
            Some(("/v1/journal", query)) if query.contains("from_entry=5") => {
                Some(json!({"items": late.entries[4..], "next": null}))
            }
            Some(("/v1/journal", _)) => early.body("/v1/journal", ""),
            Some((path, _)) => late.body(path, &second.url),
            None => late.body(path, &second.url),
        };
        Reaction::Answer(200, vec![], body.unwrap().to_string())
    });
    let output = etebar(&fake.url, &["verify", "--json"]);
    let report: Value = serde_json::from_str(&out(&output)).unwrap_or_else(|_| panic!("{}", err(&output)));
    assert_eq!((code(&output), &report["entries"]), (0, &json!(6)), "{report}");
}

#[test]
fn a_phone_below_zero_is_named() {
    let below = with(&[line(EntryKind::Reversal, 701, CHARGE)]);
    below.breaks(&[("reversals_once", "entry 5 undoes"), ("phone_balances", "entry 5: the phone is below zero")]);
}

#[test]
fn a_credit_that_is_not_its_requests_is_named() {
    let again = with(&[line(EntryKind::Credit, 1_000, REQUEST)]);
    again.breaks(&[("requests_once", "entry 5")]);
    let of_no_request = with(&[line(EntryKind::Credit, 50, 77)]);
    of_no_request.breaks(&[("requests_once", "no request 00000000-0000-0000-0000-00000000004d accounts")]);
    let lists: [&[Value]; 5] = [
        &[request(REQUEST, SHOP, 1_000, "rejected")],
        &[request(REQUEST, SHOP, 999, "approved")],
        &[request(REQUEST, OTHER, 1_000, "approved")],
        &[request(REQUEST, SHOP, 999, "pending")],
        &[request(REQUEST, SHOP, 1_000, "approved"), request(78, SHOP, 50, "approved")],
    ];
    for list in lists {
        let mut forged = with(&[]);
        drop(forged.requests.splice(..1, list.iter().cloned()));
        forged.breaks(&[("requests_once", "the journal has")]);
    }
}

#[test]
fn a_request_that_came_while_the_books_were_read_is_asked_for() {
    let forged = with(&[line(EntryKind::Credit, 50, 77)]);
    let later = request(77, SHOP, 50, "approved");
    let path = format!("/v1/credit-requests/{}", Uuid::from_u128(77));
    let second = forged.body("/v1/cluster/digest", "").unwrap().to_string();
    let second = Fake::start(move |_, _| Reaction::Answer(200, vec![], second.clone())).url;
    let fake = Fake::start(move |asked, _| {
        let asked = asked.line.trim_start_matches("GET ").split('?').next().unwrap_or_default();
        let body = if asked == path { Some(later.clone()) } else { forged.body(asked, &second) };
        Reaction::Answer(200, vec![], body.unwrap().to_string())
    });
    let output = etebar(&fake.url, &["verify"]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
}

#[test]
fn a_seller_below_zero_is_named() {
    with(&[line(EntryKind::Charge, -301, 14)]).breaks(&[("never_negative", "entry 5: -1")]);
}

#[test]
fn a_wrong_running_balance_is_named() {
    let mut wrong = forged(&honest_lines(), |entry| entry.balance += i64::from(entry.number == 4));
    wrong.balances.insert(SHOP, 301);
    wrong.breaks(&[
        ("running_balances", "entry 4: 300 was due, 301 stands"),
        ("sums_equal", "seller balances at entry 4"),
    ]);
}

#[test]
fn a_broken_chain_is_named() {
    let mut forged = with(&[]);
    forged.entries[2]["digest"] = json!(Digest([7; 32]).to_string());
    forged.breaks(&[("digest_chain", "entry 3")]);
}

#[test]
fn gaps_doubles_and_time_that_goes_back_are_named() {
    forged(&honest_lines(), |entry| entry.number += u64::from(entry.number == 4))
        .breaks(&[("numbered", "entry 5 at 1970-01-01T00:00:01.000Z stands where 4 was due")]);
    forged(&honest_lines(), |entry| entry.number -= u64::from(entry.number == 4)).breaks(&[("numbered", "entry 3 at")]);
    with(&[Line { ms: 999, ..line(EntryKind::Adjustment, -5, 13) }])
        .breaks(&[("numbered", "entry 5 at 1970-01-01T00:00:00.999Z")]);
}

#[test]
fn a_treasury_that_is_off_is_named() {
    let mut forged = with(&[]);
    forged.audit["treasury"] = json!("-1999");
    forged.breaks(&[("sums_equal", "treasury at entry 4: the journal has -2000, the audit -1999")]);
}

#[test]
fn what_the_nodes_own_audit_found_is_shown() {
    let mut forged = with(&[]);
    forged.audit["consistent"] = json!(false);
    forged.audit["broken"] = json!([{"promise": "keys_once", "faults": 2, "entry": 4, "detail": "a second decision"}]);
    let fake = forged.serve();
    let audit = etebar(&fake.url, &["audit"]);
    assert_eq!(code(&audit), 4);
    assert!(err(&audit).contains("keys_once at entry 4: a second decision"), "{}", err(&audit));
    assert!(out(&audit).contains("keys_once at entry 4: a second decision (2 in all)"), "{}", out(&audit));
    let verify = etebar(&fake.url, &["verify"]);
    assert_eq!(code(&verify), 4);
    assert!(err(&verify).contains("keys_once at entry 4: a second decision"), "{}", err(&verify));
}

#[test]
fn an_inconsistent_audit_that_does_not_say_why_is_broken_too() {
    let mut forged = with(&[]);
    forged.audit["consistent"] = json!(false);
    forged.breaks(&[("own_audit", "does not say why")]);
}

#[test]
fn amounts_beyond_any_ledger_are_broken_promises_and_no_panic() {
    let mut forged = with(&[]);
    for entry in &mut forged.entries {
        entry["amount"] = json!(i128::MAX.to_string());
    }
    let output = etebar(&forged.serve().url, &["verify"]);
    assert_eq!(code(&output), 4, "{}", err(&output));
}
