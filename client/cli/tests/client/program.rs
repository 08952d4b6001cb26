//! The program `etebar` as a shell sees it: what it prints, and its exit codes.

use std::process::{Command, Output};

use ledger::{Account, EntryChain, EntryKind, IdKind, IdSpace, Phone, Time};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{CHARGE, ENOUGH_TEXT, Fake, Reaction, nowhere, problem};

pub(crate) fn etebar(server: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etebar"));
    command.args(arguments).env("ETEBAR_SERVER", server).env("ETEBAR_KEY", "etb_admin_x");
    command.output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn answering(status: u16, body: String) -> Fake {
    Fake::start(move |_, _| Reaction::Answer(status, vec![], body.clone()))
}

#[test]
fn a_charge_is_a_table_for_people_and_the_answer_itself_for_programs() {
    let fake = answering(201, CHARGE.to_owned());
    let people = etebar(&fake.url, &["charge", "09123456789", "5000", "--idempotency-key", "k"]);
    assert_eq!(code(&people), 0);
    assert!(out(&people).contains("balance     700,000"), "{}", out(&people));
    let programs = etebar(&fake.url, &["--json", "charge", "09123456789", "5000"]);
    assert_eq!(out(&programs).trim_end(), CHARGE);
    assert_eq!(fake.asked()[0].key.as_deref(), Some("k"));
}

#[test]
fn a_refusal_exits_with_1_and_says_why() {
    let fake = answering(409, problem("insufficient_credit", 409));
    let people = etebar(&fake.url, &["charge", "09123456789", "5000"]);
    assert_eq!(code(&people), 1);
    let said = err(&people);
    assert!(
        said.starts_with("etebar: insufficient_credit: so it is\nhint: ask for more with `etebar credit-requests"),
        "{said}"
    );
    let programs = etebar(&fake.url, &["--json", "charge", "09123456789", "5000"]);
    let stated: Value = serde_json::from_str(&err(&programs)).unwrap();
    assert_eq!((code(&programs), stated["code"].as_str()), (1, Some("insufficient_credit")));
}

#[test]
fn a_member_that_cannot_lead_is_a_refusal_with_its_hint() {
    let fake = answering(409, problem("cannot_lead", 409));
    let refused = etebar(&fake.url, &["leader", "2"]);
    assert_eq!(code(&refused), 1);
    assert!(
        err(&refused).starts_with("etebar: cannot_lead: so it is\nhint: `etebar members list` shows"),
        "{}",
        err(&refused)
    );
    assert_eq!(fake.asked().len(), 1, "a refusal is not asked for again");
}

#[test]
fn wrong_usage_exits_with_2() {
    let cases: [&[&str]; 7] = [
        &["fly"],
        &[],
        &["charge", "09123456789"],
        &["charge", "09123456789", "5e3"],
        &["charge", "09123456789", "5", "--idempotency-key", "a b"],
        &["sellers", "suspend", "me"],
        &["--timeout", "5", "audit"],
    ];
    for arguments in cases {
        assert_eq!(code(&etebar("http://127.0.0.1:1", arguments)), 2, "{arguments:?}");
    }
    assert_eq!(code(&etebar("nonsense", &["audit"])), 2);
}

#[test]
fn no_answer_exits_with_3() {
    let down = etebar(&nowhere(), &["--timeout", ENOUGH_TEXT, "audit"]);
    assert_eq!(code(&down), 3, "{}", err(&down));
}

#[test]
fn an_unknown_outcome_exits_with_3_and_names_the_key() {
    let fake = Fake::node(|_, _| Reaction::Break);
    let arguments = ["--timeout", ENOUGH_TEXT, "--json", "charge", "09123456789", "5", "--idempotency-key", "order-17"];
    let output = etebar(&fake.url, &arguments);
    let stated: Value = serde_json::from_str(&err(&output)).unwrap();
    assert_eq!(code(&output), 3);
    assert_eq!((&stated["code"], &stated["idempotency_key"]), (&json!("outcome_unknown"), &json!("order-17")));
}

#[test]
fn every_no_says_what_to_do_next() {
    let hint = |server: &str, arguments: &[&str]| {
        let people = err(&etebar(server, arguments));
        let json = err(&etebar(server, &[&["--json"], arguments].concat()));
        let stated: Value = serde_json::from_str(&json).unwrap();
        let hint = stated["hint"].as_str().unwrap().to_owned();
        assert_eq!(people.lines().last(), Some(format!("hint: {hint}").as_str()));
        hint
    };
    let down = nowhere();
    let shown = hint(&down, &["--timeout", ENOUGH_TEXT, "audit"]);
    assert!(shown.starts_with(&format!("tried {down}; is the cluster up? cluster-scripts/up.sh")), "{shown}");
    let revoked = answering(401, problem("unauthenticated", 401));
    assert!(hint(&revoked.url, &["audit"]).contains("ETEBAR_KEY"));
    let forbidden = answering(403, problem("forbidden", 403));
    assert!(hint(&forbidden.url, &["audit"]).contains("a key of another role"));
}

#[test]
fn an_unknown_outcome_names_the_command_that_settles_it_without_the_secret() {
    let fake = Fake::node(|_, _| Reaction::Break);
    let output = etebar(&fake.url, &["--timeout", ENOUGH_TEXT, "--key", "etb_secret", "charge", "0912 345 6789", "5"]);
    let said = err(&output);
    let hint = said.lines().last().unwrap();
    assert!(hint.contains(" --timeout 2s --key KEY charge '0912 345 6789' 5 --idempotency-key "), "{said}");
    assert!(!said.contains("etb_secret"));
    let key = hint.rsplit(' ').next().unwrap();
    assert!(fake.asked().iter().all(|asked| asked.key.as_deref() == Some(key)), "{key}");
}

#[test]
fn a_batch_waits_where_nodes_limit_the_rate() {
    let fake = Fake::node(|_, before| {
        if before == 0 {
            return Reaction::Answer(429, vec!["retry-after: 2"], problem("rate_limited", 429));
        }
        let results = format!(r#"{{"results":[{{"status":201,"replayed":false,"charge":{CHARGE}}}]}}"#);
        Reaction::Answer(200, vec![], results)
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = json!({"phone": "09123456789", "amount": "5000", "idempotency_key": "order-17"});
    std::fs::write(file.path(), line.to_string()).unwrap();
    let output = etebar(&fake.url, &["charges", "batch", file.path().to_str().unwrap(), "--timeout", "1500ms"]);
    assert_eq!((code(&output), fake.asked().len()), (0, 2), "{}", err(&output));
    assert_eq!(err(&output), "waiting 2 s: the nodes limit the rate of this API key\n");
}

#[test]
fn help_exits_with_0() {
    let output = etebar("http://127.0.0.1:1", &["charge", "--help"]);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("Example: etebar charge"));
}

/// A whole ledger of three entries, as one node serves it.
struct Books {
    entries: Vec<Value>,
    balance: &'static str,
    digests: [&'static str; 2],
    second_is_down: bool,
}

const SELLER: Uuid = Uuid::from_u128(2);
const LEDGER: Uuid = Uuid::from_u128(7);
const PHONE: u64 = 989_123_456_789;

/// The id of the charge that is reversed.
fn charge() -> Uuid {
    IdSpace::default().uuid(IdKind::Charge, 11)
}

fn honest() -> Books {
    let mut chain = EntryChain::default();
    let mut entries = Vec::new();
    let mut balance = 0;
    let (own, phone) = (Account::Seller(SELLER), Phone::new(PHONE).unwrap());
    for (number, kind, amount, reference) in [
        (1, EntryKind::Credit, 1_000, Uuid::from_u128(10)),
        (2, EntryKind::Charge, -400, charge()),
        (3, EntryKind::Reversal, 400, charge()),
    ] {
        balance += amount;
        let with_phone = (kind != EntryKind::Credit).then_some(phone);
        let other = with_phone.map_or(Account::Treasury, Account::Phone);
        let (debit, credit) = if amount < 0 { (own, other) } else { (other, own) };
        let entry = ledger::Entry {
            number,
            record: 10 * number,
            time: Time(1_000),
            kind,
            seller: SELLER,
            amount,
            balance,
            debit,
            credit,
            reference,
            phone: with_phone,
            actor: "someone",
            caller_reference: (kind == EntryKind::Charge).then_some("order-17"),
        };
        chain.push(LEDGER, &entry);
        let mut shown = json!({
            "entry": number, "record": entry.record, "created_at": "1970-01-01T00:00:01.000Z", "kind": format!("{kind:?}").to_lowercase(),
            "seller_id": SELLER, "amount": amount.to_string(), "balance": balance.to_string(),
            "debit": debit.to_string(), "credit": credit.to_string(), "reference": entry.reference,
            "actor": "someone", "caller_reference": entry.caller_reference,
            "digest": chain.digest().to_string(),
        });
        if let Some(phone) = with_phone {
            shown["phone"] = json!(phone.to_string());
        }
        entries.push(shown);
    }
    Books { entries, balance: "1000", digests: ["d1", "d1"], second_is_down: false }
}

impl Books {
    /// The node that gets all requests, and another one that gets requests for its digest alone.
    fn serve(self) -> String {
        let digest = self.digests[1];
        let second = Fake::start(move |_, _| {
            Reaction::Answer(200, vec![], json!({"node": 2, "applied": 9, "digest": digest}).to_string())
        });
        let second = if self.second_is_down { nowhere() } else { second.url };
        let first = Fake::start(move |asked, _| {
            let path = asked.line.trim_start_matches("GET ").split('?').next().unwrap_or_default();
            match self.body(path, &second) {
                // What comes after its end.
                Some(_) if asked.line.contains("from_entry") => {
                    Reaction::Answer(200, vec![], json!({"items": [], "next": null}).to_string())
                }
                Some(body) => Reaction::Answer(200, vec![], body.to_string()),
                None => Reaction::Answer(404, vec![], problem("not_found", 404)),
            }
        });
        first.url
    }

    fn body(&self, path: &str, second: &str) -> Option<Value> {
        let member = |id: u64, api: &str| json!({"id": id, "api": api, "peer": "p:1", "role": "voter", "healthy": true, "applied": 9, "lag": 0});
        let page = |items: Value| json!({"items": items, "next": null});
        match path {
            "/v1/credit-requests" => Some(page(json!([{
                "id": Uuid::from_u128(10), "seller_id": SELLER, "amount": "1000", "note": null, "status": "approved",
                "created_at": "1970-01-01T00:00:01.000Z", "decided_at": null, "decided_by": null, "reason": null,
            }]))),
            "/v1/audit" => Some(json!({
                "entries": 3, "head": 3, "sellers": 1, "credits": "1000", "adjustments": "0", "charges": "-400",
                "reversals": "400", "seller_balances": "1000", "phone_balances": "0", "treasury": "-1000",
                "consistent": true, "applied": 9, "digest": "d1",
            })),
            "/v1/sellers" => Some(page(json!([{
                "id": SELLER, "name": "s", "status": "active", "balance": self.balance,
                "created_at": "1970-01-01T00:00:01.000Z",
            }]))),
            "/v1/journal" => Some(page(json!(self.entries))),
            "/v1/phones/%2B989123456789" => Some(json!({
                "phone": "+989123456789", "balance": "0", "charges": 1, "last_charge_at": "1970-01-01T00:00:01.000Z",
            })),
            "/v1/cluster" => Some(json!({
                "leader": 1, "term": 1, "applied": 9, "version": "0", "ledger_id": LEDGER, "members": [member(2, second)],
            })),
            "/v1/cluster/digest" => Some(json!({"node": 1, "applied": 9, "digest": self.digests[0]})),
            _ if path == format!("/v1/charges/{}", charge()) => Some(json!({
                "id": charge(), "entry": 2, "seller_id": SELLER, "phone": "+989123456789", "amount": "400",
                "balance": "600", "created_at": "1970-01-01T00:00:01.000Z", "reversed_by": 3,
            })),
            _ => None,
        }
    }
}

fn broken_promises(output: &Output) -> Vec<String> {
    let report: Value = serde_json::from_str(&out(output)).unwrap();
    let promises = report["promises"].as_array().unwrap().iter();
    let broken = promises.filter(|promise| promise["verdict"] == "broken");
    broken.map(|promise| promise["promise"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn verify_finds_an_honest_ledger_honest() {
    let server = honest().serve();
    let output = etebar(&server, &["verify", "--json"]);
    assert_eq!(broken_promises(&output), Vec::<String>::new(), "{}", err(&output));
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    let people = etebar(&server, &["verify"]);
    assert_eq!(out(&people).matches(" kept ").count(), 13, "{}", out(&people));
}

#[test]
fn verify_exits_with_4_where_an_entry_was_changed() {
    let mut books = honest();
    books.entries[1]["actor"] = json!("someone else");
    let output = etebar(&books.serve(), &["verify", "--json"]);
    assert_eq!((code(&output), broken_promises(&output)), (4, vec!["digest_chain".to_owned()]));
}

#[test]
fn verify_exits_with_4_where_a_balance_is_not_its_entries_sum() {
    let output = etebar(&Books { balance: "1001", ..honest() }.serve(), &["verify", "--json"]);
    assert_eq!((code(&output), broken_promises(&output)), (4, vec!["seller_balances".to_owned()]));
}

#[test]
fn verify_exits_with_4_where_an_entry_is_missing() {
    let mut books = honest();
    books.entries.pop();
    let output = etebar(&books.serve(), &["verify", "--json"]);
    assert_eq!(code(&output), 4);
    assert!(broken_promises(&output).contains(&"sums_equal".to_owned()));
}

#[test]
fn verify_exits_with_4_where_a_member_has_another_digest() {
    let output = etebar(&Books { digests: ["d1", "d2"], ..honest() }.serve(), &["verify", "--json"]);
    assert_eq!((code(&output), broken_promises(&output)), (4, vec!["members_agree".to_owned()]));
}

#[test]
fn verify_exits_with_3_where_a_member_does_not_answer() {
    let mut books = honest();
    books.second_is_down = true;
    let output = etebar(&books.serve(), &["--timeout", "1s", "verify", "--json"]);
    assert_eq!((code(&output), broken_promises(&output)), (3, Vec::<String>::new()));
}
