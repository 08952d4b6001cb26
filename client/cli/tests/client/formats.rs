//! Lists as tables, CSV, JSON lines and files, whole or in part, with colours or without.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::api::caller::unique;
use tests::wait::{PATIENCE, until};
use uuid::Uuid;

use crate::fake::{Asked, Fake, Reaction, problem};
use crate::program::{code, err, etebar, out};

fn entry(number: u64) -> Value {
    json!({
        "entry": number, "record": 10 * number, "created_at": "2026-11-01T08:30:00.000Z", "kind": "charge", "seller_id": Uuid::from_u128(2),
        "amount": "-5000", "balance": "1700000", "debit": "seller:2", "credit": "phone:+989123456789",
        "reference": Uuid::from_u128(u128::from(number)), "phone": "+989123456789", "actor": "till, \"1\"",
        "caller_reference": "=order", "digest": "d",
    })
}

/// Every list, of that many items, each of which `item` makes from its number.
fn list(items: u64, item: impl Fn(u64) -> Value + Send + Sync + 'static) -> Fake {
    Fake::start(move |asked, _| {
        let from: u64 = parameter(asked, "after").map_or(0, |after| after.parse().unwrap());
        let to = items.min(from + parameter(asked, "limit").unwrap().parse::<u64>().unwrap());
        let page: Vec<_> = (from + 1..=to).map(&item).collect();
        let next = (to < items).then(|| to.to_string());
        Reaction::Answer(200, vec![], json!({"items": page, "next": next}).to_string())
    })
}

fn parameter(asked: &Asked, name: &str) -> Option<String> {
    let query = asked.line.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

/// A path where nothing is yet.
fn absent(name: &str) -> PathBuf {
    std::env::temp_dir().join(unique(name))
}

#[test]
fn csv_has_a_head_plain_amounts_and_a_line_an_entry() {
    let fake = list(1, entry);
    let output = etebar(&fake.url, &["journal", "--format", "csv"]);
    let (seller, reference) = (Uuid::from_u128(2), Uuid::from_u128(1));
    assert_eq!(
        out(&output),
        format!(
            "entry,created_at,kind,seller_id,amount,balance,debit,credit,reference,phone,actor,caller_reference,record,digest\n\
             1,2026-11-01T08:30:00.000Z,charge,{seller},-5000,1700000,seller:2,phone:+989123456789,{reference},\
             +989123456789,\"till, \"\"1\"\"\",'=order,10,d\n"
        )
    );
    assert_eq!(code(&output), 0);
}

#[test]
fn a_csv_has_every_field_that_the_api_gives() {
    let id = Uuid::from_u128(1);
    let time = "2026-11-01T08:30:00.000Z";
    let items = [
        ("journal", entry(1)),
        ("sellers list", json!({"id": id, "name": "n", "status": "active", "balance": "1", "created_at": time})),
        (
            "keys list",
            json!({"id": id, "role": "approver", "name": "n", "seller_id": null, "created_at": time, "limit": "5",
                   "expires_at": time}),
        ),
        (
            "acts",
            json!({"record": 1, "created_at": time, "actor": "a", "node": 1, "address": "10.0.0.7", "kind": "adjusted",
                   "refused": "name_taken", "seller_id": id, "key_id": id, "credit_request_id": id, "charge_id": id,
                   "entry": 1, "amount": "1", "name": "n", "role": "admin", "reason": "r", "member": 1,
                   "four_eyes": true}),
        ),
        (
            "charges list",
            json!({"id": id, "entry": 1, "seller_id": id, "phone": "+1", "amount": "1", "balance": "1",
                   "reference": null, "created_at": time, "reversed_by": 7}),
        ),
        (
            "credit-requests list",
            json!({"id": id, "seller_id": id, "amount": "1", "note": null, "reference": null, "status": "pending", "created_at": time,
                   "decided_at": null, "decided_by": null, "reason": null}),
        ),
    ];
    for (verb, item) in items {
        let mut fields: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        let fake = list(1, move |_| item.clone());
        let arguments: Vec<_> = verb.split(' ').chain(["--format", "csv"]).collect();
        let text = out(&etebar(&fake.url, &arguments));
        let mut columns: Vec<_> = text.lines().next().unwrap().split(',').collect();
        columns.sort_unstable();
        fields.sort_unstable();
        assert_eq!(columns, fields, "{verb}");
        assert_eq!(text.lines().nth(1).unwrap().split(',').count(), columns.len() + usize::from(verb == "journal"));
    }
}

#[test]
fn a_text_that_a_spreadsheet_would_run_is_inert_in_csv_alone() {
    let seller = |_| {
        json!({"id": Uuid::from_u128(1), "name": "=HYPERLINK(\"http://x\")", "status": "active", "balance": "-5",
               "created_at": "2026-11-01T08:30:00.000Z"})
    };
    let fake = list(1, seller);
    let csv = out(&etebar(&fake.url, &["sellers", "list", "--format", "csv"]));
    assert!(csv.contains(",\"'=HYPERLINK(\"\"http://x\"\")\",active,-5,"), "{csv}");
    let lines = out(&etebar(&fake.url, &["sellers", "list", "--format", "jsonl"]));
    assert_eq!(serde_json::from_str::<Value>(&lines).unwrap(), seller(1));
}

#[test]
fn all_lists_to_the_end_and_a_limit_is_kept_exactly() {
    let fake = list(2_500, entry);
    let all = out(&etebar(&fake.url, &["journal", "--all", "--format", "jsonl"]));
    let numbers: Vec<_> =
        all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"].clone()).collect();
    assert_eq!(numbers, (1..=2_500).map(|number| json!(number)).collect::<Vec<_>>());
    let limited = etebar(&fake.url, &["journal", "--limit", "1500", "--format", "csv"]);
    assert_eq!(out(&limited).lines().count(), 1_501);
    assert!(err(&limited).contains("more follows: --after 1500"), "omitted items are reported: {}", err(&limited));
    let both = etebar(&fake.url, &["journal", "--all", "--limit", "5"]);
    assert_eq!(code(&both), 2);
}

#[test]
fn json_is_one_page_as_the_api_has_it_also_of_all() {
    let fake = list(1_001, entry);
    let page: Value = serde_json::from_str(&out(&etebar(&fake.url, &["--json", "journal"]))).unwrap();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (100, &json!("100")));
    let all: Value = serde_json::from_str(&out(&etebar(&fake.url, &["--json", "journal", "--all"]))).unwrap();
    assert_eq!((all["items"].as_array().unwrap().len(), &all["next"]), (1_001, &Value::Null));
    let empty = list(0, entry);
    assert_eq!(out(&etebar(&empty.url, &["--json", "journal"])), "{\"items\":[],\"next\":null}\n");
}

#[test]
fn a_table_groups_amounts_and_lines_up() {
    let fake = list(2, |number| if number == 1 { entry(1) } else { entry(12_345) });
    let table = out(&etebar(&fake.url, &["journal"]));
    let columns: Vec<_> = table.lines().map(|line| line.find("charge").or(line.find("kind")).unwrap()).collect();
    assert_eq!(columns, [columns[0]; 3], "{table}");
    assert!(table.contains(" -5,000  1,700,000  +989123456789"), "{table}");
}

#[test]
fn a_date_is_sent_as_its_midnight_in_utc() {
    let fake = list(0, entry);
    for verb in [&["statement", "00000000-0000-0000-0000-000000000002"][..], &["journal"], &["charges", "list"]] {
        let arguments = [verb, &["--from", "2026-11-01", "--to", "2026-12-01T00:00:00+03:30"]].concat();
        assert_eq!(code(&etebar(&fake.url, &arguments)), 0);
        let asked = fake.asked().pop().unwrap();
        assert_eq!(parameter(&asked, "from").as_deref(), Some("2026-11-01T00%3A00%3A00.000Z"), "{}", asked.line);
        assert_eq!(parameter(&asked, "to").as_deref(), Some("2026-11-30T20%3A30%3A00.000Z"), "{}", asked.line);
    }
    assert_eq!(code(&etebar(&fake.url, &["journal", "--from", "yesterday"])), 2);
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let fake = list(1_500, entry);
    let file = absent("journal.csv");
    let path = file.to_str().unwrap();
    let written = etebar(&fake.url, &["journal", "--all", "--format", "csv", "--output", path]);
    assert_eq!((code(&written), out(&written).as_str()), (0, ""));
    let whole = fs::read_to_string(&file).unwrap();
    assert_eq!(whole.lines().count(), 1_501);
    // The second page never comes.
    let broken = Fake::start(|asked, _| {
        if asked.line.contains("after") {
            return Reaction::Answer(403, vec![], problem("forbidden", 403));
        }
        Reaction::Answer(200, vec![], json!({"items": [entry(1)], "next": "1"}).to_string())
    });
    let failed = etebar(&broken.url, &["journal", "--all", "--format", "csv", "--output", path]);
    assert_eq!(code(&failed), 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), whole, "the old file stays");
    let name = file.file_name().unwrap().to_str().unwrap();
    let left = fs::read_dir(file.parent().unwrap()).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().contains(name)).count();
    assert_eq!(left, 1, "no part is left");
    fs::remove_file(&file).unwrap();
}

/// The name used to be `.FILE.PID.part`, and a shell hands its pid on to the program that it becomes.
#[test]
fn a_link_where_a_part_could_be_expected_is_not_followed() {
    let fake = list(3, entry);
    let folder = tempfile::tempdir().unwrap();
    let (victim, file) = (folder.path().join("victim"), folder.path().join("journal.csv"));
    fs::write(&victim, "mine").unwrap();
    let script = r#"ln -s "$PWD/victim" ".journal.csv.$$.part" && exec "$0" journal --format csv --output journal.csv"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_etebar")]).current_dir(folder.path());
    let output = command.env("ETEBAR_SERVER", &fake.url).env("ETEBAR_KEY", "etb_admin_x").output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 4);
    assert!(!file.is_symlink());
}

#[test]
fn a_file_that_is_replaced_keeps_its_permissions() {
    let fake = list(3, entry);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.csv");
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    fs::write(&file, "old").unwrap();
    for file_mode in [0o600, 0o644] {
        fs::set_permissions(&file, fs::Permissions::from_mode(file_mode)).unwrap();
        assert_eq!(code(&etebar(&fake.url, &["journal", "--output", file.to_str().unwrap()])), 0);
        assert_eq!((mode(), fs::read_to_string(&file).unwrap() == "old"), (file_mode, false));
    }
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let fake = list(3, entry);
    let output = etebar(&fake.url, &["journal", "--format", "csv", "--output", "/dev/stdout"]);
    assert_eq!((code(&output), out(&output).lines().count()), (0, 4));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let endless = list(u64::MAX, entry);
    let mut command = Command::new(env!("CARGO_BIN_EXE_etebar"));
    command.args(["journal", "--all", "--format", "jsonl"]).env("ETEBAR_SERVER", &endless.url);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"entry\":1,"), "{line}");
    let status = until(PATIENCE, "its end", || child.try_wait().unwrap());
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn an_error_that_cannot_be_printed_leaves_the_exit_code() {
    let fake = Fake::start(|_, _| Reaction::Answer(403, vec![], problem("forbidden", 403)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_etebar"));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.args(["journal", "--all"]).env("ETEBAR_SERVER", &fake.url).stderr(full);
    assert_eq!(command.status().unwrap().code(), Some(1));
}

#[test]
fn colours_are_for_terminals_unless_asked_for_and_never_in_data() {
    let fake = list(1, entry);
    let coloured = |arguments: &[&str]| out(&etebar(&fake.url, arguments)).contains('\u{1b}');
    assert!(!coloured(&["journal"]), "a pipe is no terminal");
    assert!(coloured(&["journal", "--color", "always"]));
    assert!(!coloured(&["journal", "--color", "never"]));
    for data in [&["--json"][..], &["--format", "csv"], &["--format", "jsonl"]] {
        assert!(!coloured(&[&["journal", "--color", "always"], data].concat()), "{data:?}");
    }
}

#[test]
fn completions_need_no_server_and_are_good_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = etebar("nonsense", &["completions", shell]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert!(out(&output).contains("credit-requests"), "{shell}");
    }
    let script = "source <(\"$0\" completions bash) && complete -p etebar";
    let sourced = Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_etebar")]).output().unwrap();
    assert!(out(&sourced).starts_with("complete "), "{}{}", out(&sourced), err(&sourced));
}
