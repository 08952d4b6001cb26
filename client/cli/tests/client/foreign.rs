//! What others wrote (servers, files, arguments, the environment) as it comes to a terminal: harmless and bounded.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use etebar::api::is_visible;
use serde_json::{Value, json};

use crate::fake::{Fake, Reaction};
use crate::program::{code, err, etebar, out};
use crate::shop::{Desk, Shop};

/// It clears a screen, turns the reading order around, hides, begins a line of its own, and continues.
const FOREIGN: &str = "a\u{1b}[2J\u{9b}2J\u{202e}b\u{200b}c\nhint: run evil\r\u{7f}\u{2028}\u{e000}d";
/// Most bytes of what is printed of any error.
const TOLD_BYTES: usize = 64 * 1024;

/// Everything is visible, but for the ends of lines.
#[track_caller]
fn assert_harmless(text: &str) {
    let hidden = text.chars().find(|char| !is_visible(*char) && *char != '\n');
    assert_eq!(hidden, None, "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("hint: run evil")), "{text}");
    assert!(text.len() <= TOLD_BYTES, "{} bytes", text.len());
}

#[track_caller]
fn assert_all_harmless(output: &Output) {
    assert_harmless(&out(output));
    assert_harmless(&err(output));
}

fn answering(status: u16, body: &Value) -> Fake {
    let body = body.to_string();
    Fake::start(move |_, _| Reaction::Answer(status, vec!["etebar-node: 1"], body.clone()))
}

fn seller(name: &str) -> Value {
    json!({"id": uuid::Uuid::from_u128(2), "name": name, "status": "active", "balance": "1",
        "created_at": "2026-01-31T08:30:00.000Z"})
}

#[test]
fn a_problem_of_a_hostile_server_is_shown_harmlessly() {
    for long in [1, 5_000] {
        let text = FOREIGN.repeat(long);
        let error = json!({"pointer": text, "detail": text});
        let body = json!({"type": text, "code": "invalid_request", "title": text, "status": 400, "detail": text,
            "retryable": false, "errors": [error, error], "more": text});
        let fake = answering(400, &body);
        let people = etebar(&fake.url, &["--timeout", "2s", "sellers", "create", "x"]);
        assert_all_harmless(&people);
        let programs = etebar(&fake.url, &["--timeout", "2s", "--json", "sellers", "create", "x"]);
        assert_all_harmless(&programs);
        let printed: Value = serde_json::from_str(&err(&programs)).unwrap();
        assert_eq!(printed["code"], "invalid_request");
        if long == 1 {
            assert_eq!(printed["detail"], FOREIGN, "JSON keeps the server's text");
        }
    }
}

#[test]
fn names_and_positions_of_a_hostile_server_are_shown_harmlessly() {
    let page = json!({"items": [seller(FOREIGN), seller(&"x".repeat(100_000))], "next": FOREIGN});
    let fake = answering(200, &page);
    assert_all_harmless(&etebar(&fake.url, &["sellers", "list", "--limit", "2"]));
    assert_all_harmless(&etebar(
        &fake.url,
        &["--color", "always", "sellers", "list", "--limit", "1", "--format", "csv", "--output", "/dev/null"],
    ));
    let programs = out(&etebar(&fake.url, &["--json", "sellers", "list", "--limit", "2"]));
    assert!(programs.chars().all(|char| is_visible(char) || char == '\n'));
    let printed: Value = serde_json::from_str(&programs).unwrap();
    assert_eq!((&printed["items"][0]["name"], &printed["next"]), (&json!(FOREIGN), &json!(FOREIGN)));
    let fake = answering(200, &seller(FOREIGN));
    assert_all_harmless(&etebar(&fake.url, &["sellers", "show"]));
    let cluster = json!({"leader": 1, "term": 1, "applied": 9, "version": FOREIGN, "members": [
        {"id": 1, "api": FOREIGN, "peer": FOREIGN, "role": "voter", "healthy": true, "applied": 9, "lag": 0}]});
    let fake = answering(200, &cluster);
    for verb in [vec!["cluster", "status"], vec!["watch", "--count", "1"], vec!["digest"], vec!["verify"]] {
        assert_all_harmless(&etebar(&fake.url, &[&["--timeout", "1s"], verb.as_slice()].concat()));
        assert_all_harmless(&etebar(&fake.url, &[&["--timeout", "1s", "--json"], verb.as_slice()].concat()));
    }
}

#[test]
fn csv_for_a_file_is_exact() {
    let desk = Desk::lines(0);
    let fake = answering(200, &json!({"items": [seller(FOREIGN)], "next": null}));
    let path = desk.path("sellers.csv");
    let listed = etebar(&fake.url, &["sellers", "list", "--format", "csv", "--output", path.to_str().unwrap()]);
    assert_eq!(code(&listed), 0, "{}", err(&listed));
    let mut reader = csv::Reader::from_path(path).unwrap();
    assert_eq!(&reader.records().next().unwrap().unwrap()[1], FOREIGN);
}

#[test]
fn arguments_and_the_environment_are_repeated_harmlessly() {
    let foreign = FOREIGN;
    let wrong: [&[&str]; 9] = [
        &["charge", "0912", foreign],
        &["charge", "0912", "5", foreign],
        &[foreign],
        &["--server", foreign, "sellers", "list"],
        &["--timeout", foreign, "sellers", "list"],
        &["sellers", "show", foreign],
        &["sellers", "list", "--format", foreign],
        &["journal", "--from", foreign],
        &["charges", "import", foreign],
    ];
    for arguments in wrong {
        let output = etebar("http://127.0.0.1:1", arguments);
        assert_eq!(code(&output), 2, "{}", err(&output));
        assert_all_harmless(&output);
    }
    for arguments in [vec!["--help"], vec!["charge", "--help"], vec!["--server", foreign, "--version"]] {
        assert_all_harmless(&etebar(foreign, &arguments));
    }
    // A command to run again is printed as a shell takes it.
    let fake = Fake::start(|_, _| Reaction::Break);
    let unknown = etebar(&fake.url, &["--timeout", "1s", "sellers", "create", foreign]);
    assert_eq!(code(&unknown), 3, "{}", err(&unknown));
    assert_all_harmless(&unknown);
    assert!(err(&unknown).contains(r"$'a\x1b[2J\U0000009b2J"), "{}", err(&unknown));
    let long = "x".repeat(100_000);
    assert_all_harmless(&etebar(&fake.url, &["sellers", "show", &long]));
}

fn import(shop: &Shop, file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etebar"));
    command.args(["charges", "import"]).arg(file).args(more).env("ETEBAR_SERVER", &shop.fake.url);
    command.env("ETEBAR_KEY", "etb_seller_x").stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_file_to_import_is_named_harmlessly() {
    let shop = Shop::honest();
    let long = "x".repeat(5_000_000);
    let quoted = format!("\"{}\"", FOREIGN.replace('"', ""));
    let files = [
        (format!("{quoted},amount\n1,2\n"), "a\\u{1b}[2j"),
        ("phone\u{200b},amount\n09123456789,5\n".to_owned(), "phone\\u{200b}"),
        (format!("phone,amount\n{quoted},5\n"), "(U+0061)"),
        ("phone,amount\n\u{202d}09123456789,5\n".to_owned(), "U+202D"),
        ("phone,amount\n0912\u{200b}3456789,5\n".to_owned(), "U+200B"),
        ("phone,amount\n09123456789,5\u{202c}\n".to_owned(), "U+202C"),
        (format!("phone,amount,idempotency_key\n09123456789,5,{quoted}\n"), "idempotency_key"),
        (format!("phone,amount\n{long},5\n"), "phone \""),
        (format!("phone,amount\n09123456789,{long}\n"), "amount \""),
        (format!("{long}\n"), "the columns phone and amount are needed"),
        (format!("phone,{}\n", "c,".repeat(1_000_000)), "the columns phone and amount are needed"),
        (format!("phone,amount\n{}", "0912,5\n".repeat(100_000)), "and 99,980 more"),
    ];
    for (text, said) in files {
        let desk = Desk::with(text);
        for more in [&[][..], &["--json"]] {
            let output = import(&shop, &desk.input(), more);
            assert_eq!(code(&output), 2, "{said}");
            assert_all_harmless(&output);
            let printed = err(&output);
            let printed = if more.is_empty() {
                printed
            } else {
                serde_json::from_str::<Value>(&printed).unwrap()["detail"].to_string()
            };
            assert!(printed.replace("\\\\", "\\").replace("\\\"", "\"").contains(said), "{said}: {printed}");
        }
    }
    let desk = Desk::lines(1);
    let odd = desk.path(&format!("{FOREIGN}.csv"));
    fs::write(&odd, "phone,amount\n1,2\n").unwrap();
    assert_all_harmless(&import(&shop, &odd, &[]));
    fs::write(&odd, "phone,amount\n09123456789,2\n").unwrap();
    let done = import(&shop, &odd, &[]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    assert_all_harmless(&done);
}

#[test]
fn a_file_by_its_links_and_by_its_name_is_one_import() {
    let (shop, desk) = (Shop::honest(), Desk::lines(3));
    let charged = |file: &Path| {
        let output = import(&shop, file, &[]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert_eq!(shop.charged(), 3, "{}", file.display());
    };
    let (link, second, hard) = (desk.path("link.csv"), desk.path("second.csv"), desk.path("hard.csv"));
    symlink(desk.input(), &link).unwrap();
    symlink("link.csv", &second).unwrap();
    charged(&second);
    charged(&desk.input());
    charged(&link);
    fs::hard_link(desk.input(), &hard).unwrap();
    charged(&hard);
    charged(&desk.input());
    assert!(desk.has("orders.csv.resume") && !desk.has("link.csv.resume") && !desk.has("hard.csv.resume"));

    // A name in another folder is not found by looking around: then nothing is sent.
    let elsewhere = desk.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::hard_link(desk.input(), elsewhere.join("orders.csv")).unwrap();
    let refused = import(&shop, &elsewhere.join("orders.csv"), &[]);
    assert_eq!(code(&refused), 2, "{}", err(&refused));
    assert!(err(&refused).contains("may have been imported under another name"), "{}", err(&refused));
    charged(&desk.input());
    // Several names, none of them imported yet, are one import too.
    let fresh = Desk::lines(3);
    fs::hard_link(fresh.input(), fresh.path("too.csv")).unwrap();
    let other = Shop::honest();
    for name in ["too.csv", "orders.csv"] {
        assert_eq!(code(&import(&other, &fresh.path(name), &[])), 0);
    }
    assert_eq!(other.charged(), 3);
    // A file that an earlier version left beside a link still counts.
    let old = Desk::lines(1);
    symlink(old.input(), old.path("link.csv")).unwrap();
    fs::write(old.path("link.csv.resume"), "of before").unwrap();
    assert_eq!(code(&import(&other, &old.path("link.csv"), &[])), 2);
    assert_eq!(other.charged(), 3);
}

#[test]
fn a_span_without_any_time_in_it_is_an_error() {
    let lists: [&[&str]; 4] = [&["charges", "list"], &["journal"], &["statement"], &["statement", "me", "--all"]];
    for list in lists {
        for (from, to) in [("2026-11-02", "2026-11-01"), ("2026-11-01", "2026-11-01")] {
            let output = etebar("http://127.0.0.1:1", &[list, &["--from", from, "--to", to]].concat());
            assert_eq!((code(&output), out(&output)), (2, String::new()), "{list:?}");
            assert!(err(&output).starts_with("etebar: there is no time between --from"), "{}", err(&output));
        }
    }
}
