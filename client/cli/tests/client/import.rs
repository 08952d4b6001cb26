//! `etebar charges import`: each line once, whatever happens to the program, the file, the cluster.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{ENOUGH_TEXT, Reaction, nowhere, problem};
use crate::shop::{Desk, PATIENCE, Shop, Trouble, shop};

/// Lines in a batch.
const BATCH: usize = 500;

fn command(server: &str, file: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etebar"));
    command.args(["charges", "import"]).arg(file).args(more);
    command.env("ETEBAR_SERVER", server).env("ETEBAR_KEY", "etb_seller_x");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn import(shop: &Shop, desk: &Desk) -> Output {
    command(&shop.fake.url, &desk.input(), &["--json", "--parallel", "1"]).output().unwrap()
}

/// The same, without patience.
fn hasty_import(shop: &Shop, desk: &Desk) -> Output {
    command(&shop.fake.url, &desk.input(), &["--json", "--parallel", "1", "--timeout", "2s"]).output().unwrap()
}

fn start(shop: &Shop, desk: &Desk) -> Child {
    command(&shop.fake.url, &desk.input(), &["--parallel", "1"]).spawn().unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (Value, Value) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
    (read(&output.stdout), read(&output.stderr))
}

fn counts(summary: &Value) -> [u64; 4] {
    ["charged", "refused", "unknown", "not_sent"].map(|name| summary[name].as_u64().unwrap())
}

fn statuses(pairs: &[(&str, usize)]) -> HashMap<String, usize> {
    pairs.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
}

fn unauthenticated() -> Trouble {
    Trouble::Undecided(Reaction::Answer(401, vec![], problem("unauthenticated", 401)))
}

/// Runs an import until its second batch is on its way, and kills it there with SIGKILL.
fn killed_in_its_second_batch(desk: &Desk, trouble: Trouble) -> Shop {
    let shop = shop(move |before| (before == 1).then(|| trouble.clone()));
    kill_in_its_second_batch(&shop, desk);
    shop
}

fn kill_in_its_second_batch(shop: &Shop, desk: &Desk) {
    let mut child = start(shop, desk);
    shop.wait_for_batch();
    shop.wait_for_batch();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn every_line_is_charged_once_and_a_second_run_sends_nothing() {
    let (shop, desk) = (Shop::honest(), Desk::lines(1_200));
    let (summary, _) = ended(&import(&shop, &desk), 0);
    assert_eq!(counts(&summary), [1_200, 0, 0, 0]);
    assert_eq!(summary["amount_charged"], (120 * 55).to_string());
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
    let result = desk.text("orders.result.csv");
    assert_eq!(result.lines().next(), Some("phone,amount,line,idempotency_key,status,charge_id,entry,balance,problem"));
    let key = &shop.batches()[0][0];
    let first = format!("09120000000,1,2,{key},charged,00000000-0000-0000-0000-000000000001,1,999999999,");
    assert_eq!(result.lines().nth(1), Some(first.as_str()));
    for file in ["orders.csv.resume", "orders.result.csv"] {
        let mode = fs::metadata(desk.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let asked = shop.requests();
    let (again, _) = ended(&import(&shop, &desk), 0);
    assert_eq!((counts(&again), &again["answered_now"]), ([1_200, 0, 0, 0], &json!(0)));
    assert_eq!(shop.requests(), asked);
}

/// Files under way had a name that could be guessed, and a link placed there was followed.
#[test]
fn links_beside_an_import_are_not_followed() {
    let shop = shop(|_| None);
    let desk = Desk::lines(3);
    fs::write(desk.path("victim"), "mine").unwrap();
    for name in ["orders.csv.resume.new", "orders.result.csv.new", "orders.again.csv.new"] {
        std::os::unix::fs::symlink(desk.path("victim"), desk.path(name)).unwrap();
    }
    ended(&import(&shop, &desk), 0);
    assert_eq!(desk.text("victim"), "mine");
    assert_eq!(desk.statuses(), statuses(&[("charged", 3)]));
}

#[test]
fn people_see_a_sheet_and_programs_an_object() {
    let (shop, desk) = (Shop::honest(), Desk::lines(2));
    let output = command(&shop.fake.url, &desk.input(), &[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("amount charged  3\n") && text.contains("orders.result.csv"), "{text}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_wrong_file_is_refused_whole_with_its_lines_and_nothing_is_sent() {
    let cases: [(&[u8], &str); 17] = [
        (b"", "is empty"),
        (b"phone,amount\n", "has no charge"),
        (b"phone,sum\n09123456789,5\n", "line 1: the columns phone and amount are needed; there are: phone, sum"),
        (b"phone;amount\n09123456789;5\n", "a comma sets columns off"),
        (b"phone,amount,phone\n", "line 1: there are two columns phone"),
        (b"phone,amount,status\n1,2,3\n", "line 1: the result has a column status of its own"),
        (b"phone,amount\n09123456789,5\n09123456789,5e3\n", "line 3: amount \"5e3\""),
        (b"phone,amount\r\n\r\n09123456789,0\r\n", "line 3: amount \"0\": an amount is greater than zero here"),
        (b"phone,amount\n09123456789,-5\n", "line 2: amount \"-5\""),
        (b"phone,amount\n0912-abc-4567,5\n", "line 2: phone \"0912-abc-4567\""),
        (b"phone,amount\n02188776655,5\n", "line 2: phone \"02188776655\": of Iranian numbers only mobiles"),
        (b"phone,amount\n09123456789\n", "line 2: 1 cells, and 2 columns"),
        (b"phone,amount,note\n09123456789,5,\"open\n09123456788,5,x\n", "line 2: a quote is opened and not closed"),
        (b"phone,amount,idempotency_key\n09123456789,5,a b\n", "line 2: idempotency_key \"a b\""),
        (
            b"phone,amount,idempotency_key\n09123456789,5,k\n09123456788,5,k\n",
            "line 3: idempotency_key k stands in line 2 too",
        ),
        (b"phone,amount\n\xff,5\n", "line 2: phone is not UTF-8"),
        (b"\xff\xfep\0h\0", "is UTF-16"),
    ];
    let shop = Shop::honest();
    for (text, said) in cases {
        let desk = Desk::with(text);
        let (_, stop) = ended(&import(&shop, &desk), 2);
        assert!(stop["detail"].as_str().unwrap().contains(said), "{said}: {stop}");
        assert!(stop["detail"].as_str().unwrap().contains("nothing was sent"), "{stop}");
        assert!(stop["hint"].as_str().unwrap().starts_with("correct the file"), "{stop}");
        assert!(!desk.has("orders.csv.resume") && !desk.has("orders.result.csv"), "{said}");
    }
    assert_eq!(shop.requests(), 0);
    // How many places an amount has, only the cluster knows.
    let (_, stop) = ended(&import(&shop, &Desk::with("phone,amount\n09123456789,5.5\n")), 2);
    assert!(stop["detail"].as_str().unwrap().contains("line 2: amount 5.5: an amount has no decimal places"), "{stop}");
    let (_, stop) = ended(&import(&shop, &Desk::with("phone,amount\n09123456789,50.000\n")), 2);
    assert!(
        stop["detail"].as_str().unwrap().contains("line 2: amount 50.000: an amount has no decimal places"),
        "{stop}"
    );
    assert!(stop["detail"].as_str().unwrap().contains("thousands separator"), "{stop}");
    assert_eq!(shop.batches().len(), 0);
    let missing = command(&shop.fake.url, Path::new("/nonexistent.csv"), &[]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_byte_order_mark_line_ends_of_windows_and_other_columns_are_taken_as_they_are() {
    let text = "\u{feff}Amount,\"who, where\",Phone\r\n5,\"Ali \"\"A\"\"\", 0912 345 6789 \r\n\r\n07,x,۰۹۱۲۳۴۵۶۷۸۹\r\n";
    let (shop, desk) = (Shop::honest(), Desk::with(text));
    ended(&import(&shop, &desk), 0);
    assert_eq!(shop.phones(), HashMap::from([("+989123456789".to_owned(), 2)]));
    let result = desk.text("orders.result.csv");
    let lines: Vec<&str> = result.lines().collect();
    assert!(lines[0].starts_with("Amount,\"who, where\",Phone,line,"), "{result}");
    assert!(lines[1].starts_with("5,\"Ali \"\"A\"\"\", 0912 345 6789 ,2,"), "{result}");
    assert!(lines[2].starts_with("07,x,۰۹۱۲۳۴۵۶۷۸۹,4,"), "{result}");
}

#[test]
fn keys_of_the_file_are_used_and_what_they_had_charged_before_is_replayed() {
    let (shop, desk) =
        (Shop::honest(), Desk::with("idempotency_key,phone,amount\norder-1,09123456789,5\n,09123456788,5\n"));
    let earlier = json!({"charges": [{"idempotency_key": "order-1", "phone": "+989123456789", "amount": "5"}]});
    shop.books.lock().unwrap().decide(&earlier.to_string());
    let (summary, _) = ended(&import(&shop, &desk), 0);
    assert_eq!((&summary["charged"], &summary["replayed"], shop.charged()), (&json!(2), &json!(1), 2));
    let result = desk.text("orders.result.csv");
    assert!(result.starts_with("phone,amount,line,idempotency_key,"), "{result}");
    assert!(result.contains("\n09123456789,5,2,order-1,charged,"), "{result}");
}

#[test]
fn refused_lines_do_not_stop_the_others_and_may_be_imported_as_a_file_of_their_own() {
    let (shop, desk) =
        (Shop::honest(), Desk::with("phone,amount,note\n09120000001,7,a\n09120000002,9,b\n09120000003,3,c\n"));
    shop.books.lock().unwrap().credit = 10;
    let (summary, stop) = ended(&import(&shop, &desk), 1);
    assert_eq!((counts(&summary), &summary["refusals"]), ([2, 1, 0, 0], &json!({"insufficient_credit": 1})));
    assert!(stop["hint"].as_str().unwrap().contains("orders.again.csv"), "{stop}");
    assert!(desk.text("orders.result.csv").contains("09120000002,9,b,3,"));
    assert_eq!(desk.text("orders.again.csv"), "phone,amount,note\n09120000002,9,b\n");
    shop.books.lock().unwrap().credit = 10;
    ended(&import(&shop, &desk), 1);
    assert_eq!(shop.charged(), 2, "a refused line is not sent again");
    let again = command(&shop.fake.url, &desk.path("orders.again.csv"), &["--json"]).output().unwrap();
    ended(&again, 0);
    assert_eq!(shop.charged(), 3);
}

#[test]
fn what_a_node_finds_malformed_is_refused_and_the_rest_of_its_batch_charged() {
    let desk = Desk::lines(5);
    let shop = shop(|before| {
        let mut refusal: Value = serde_json::from_str(&problem("invalid_request", 400)).unwrap();
        refusal["errors"] =
            json!([{"pointer": "/charges/3/phone", "detail": "no"}, {"pointer": "/charges/1/phone", "detail": "no"}]);
        (before == 0).then(|| Trouble::Undecided(Reaction::Answer(400, vec![], refusal.to_string())))
    });
    let (summary, _) = ended(&import(&shop, &desk), 1);
    assert_eq!((counts(&summary), shop.charged()), ([3, 2, 0, 0], 3));
    assert_eq!(desk.text("orders.again.csv"), "phone,amount\n09120000001,2\n09120000003,4\n");
}

#[test]
fn every_key_is_on_the_disk_before_the_first_charge_is_sent() {
    let desk = Desk::lines(700);
    let resume = desk.path("orders.csv.resume");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let shop = shop(move |_| {
        log.lock().unwrap().push(fs::read_to_string(&resume).unwrap_or_default());
        None
    });
    ended(&import(&shop, &desk), 0);
    let seen = seen.lock().unwrap();
    for (keys, text) in shop.batches().iter().zip(seen.iter()) {
        let head: Value = serde_json::from_str(text.lines().next().unwrap().split_once(' ').unwrap().1).unwrap();
        let prefix = head["key_prefix"].as_str().unwrap();
        let last = text.lines().last().unwrap();
        for key in keys {
            let line = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).expect("a key of this import");
            assert!(last.contains("sending") && last.contains(line), "{line}: {last}");
        }
    }
}

#[test]
fn killed_anywhere_a_second_run_charges_the_rest_and_nothing_twice() {
    for trouble in [Trouble::Undecided(Reaction::NoAnswer), Trouble::Unanswered] {
        let desk = Desk::lines(1_200);
        let shop = killed_in_its_second_batch(&desk, trouble);
        let (summary, _) = ended(&import(&shop, &desk), 0);
        assert_eq!(counts(&summary), [1_200, 0, 0, 0]);
        assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
        let batches = shop.batches();
        assert_eq!(batches[1], batches[2], "the batches under way are sent again first, under their keys");
        assert!(!batches[2..].iter().flatten().any(|key| batches[0].contains(key)), "answered ones are not");
    }
}

#[test]
fn a_torn_last_record_is_as_if_it_had_not_been_written() {
    let desk = Desk::lines(1_200);
    let shop = killed_in_its_second_batch(&desk, Trouble::Unanswered);
    let whole = desk.text("orders.csv.resume");
    // Cut within the answers of the first batch.
    let cut = whole.match_indices("charged").nth(BATCH / 2).unwrap().0;
    fs::write(desk.path("orders.csv.resume"), &whole[..cut]).unwrap();
    ended(&import(&shop, &desk), 0);
    let batches = shop.batches();
    let is_known = |key: &_| batches[0].contains(key);
    assert!(batches[2].iter().all(is_known), "keys that may be known are sent without new ones");
    assert!(!batches[3..].iter().flatten().any(is_known));
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
    assert_eq!(counts(&ended(&import(&shop, &desk), 0).0), [1_200, 0, 0, 0]);
}

#[test]
fn damage_another_input_another_seller_or_a_lost_resume_file_is_refused_and_nothing_is_sent() {
    let desk = Desk::lines(1_200);
    let shop = killed_in_its_second_batch(&desk, Trouble::Unanswered);
    let (input, resume) = (fs::read(desk.input()).unwrap(), desk.text("orders.csv.resume"));
    let sent = shop.batches().len();
    let refuses = |code, said: &str| {
        let (_, stop) = ended(&import(&shop, &desk), code);
        assert!(stop["detail"].as_str().unwrap().contains(said), "{stop}");
        assert!(!stop["hint"].as_str().unwrap().is_empty(), "{stop}");
        assert_eq!(shop.batches().len(), sent);
    };
    fs::write(desk.path("orders.csv.resume"), resume.replacen("\"line\":7", "\"line\":8", 1)).unwrap();
    refuses(1, "is damaged in its line 8");
    fs::write(desk.path("orders.csv.resume"), "").unwrap();
    refuses(1, "is damaged in its line 1");
    fs::write(desk.path("orders.csv.resume"), &resume).unwrap();
    fs::write(desk.input(), [&input[..], b"09123456789,5\n"].concat()).unwrap();
    refuses(2, "has changed since its import was begun");
    fs::write(desk.input(), &input).unwrap();
    shop.books.lock().unwrap().seller = Uuid::from_u128(3);
    refuses(2, "was begun by seller 00000000-0000-0000-0000-000000000002");
    shop.books.lock().unwrap().seller = Uuid::from_u128(2);
    ended(&import(&shop, &desk), 0);
    fs::remove_file(desk.path("orders.csv.resume")).unwrap();
    let (_, stop) = ended(&import(&shop, &desk), 2);
    assert!(stop["detail"].as_str().unwrap().contains("was imported before"), "{stop}");
    assert_eq!(shop.charged(), 1_200);
}

#[test]
fn two_imports_of_one_file_at_once_are_refused() {
    let desk = Desk::lines(10);
    let shop = shop(|before| (before == 0).then_some(Trouble::Undecided(Reaction::NoAnswer)));
    let mut first = start(&shop, &desk);
    shop.wait_for_batch();
    let (_, stop) = ended(&import(&shop, &desk), 1);
    assert!(stop["detail"].as_str().unwrap().contains("another import"), "{stop}");
    first.kill().unwrap();
    first.wait().unwrap();
    ended(&import(&shop, &desk), 0);
    assert_eq!(shop.charged(), 10);
}

#[test]
fn within_the_window_of_the_clusters_clock_it_resumes_and_past_it_no_more_ever() {
    let desk = Desk::lines(1_200);
    let shop = killed_in_its_second_batch(&desk, Trouble::Unanswered);
    let sent = shop.batches().len();
    for date in ["date: Mon, 10 Sep 2001 01:46:00 GMT", "date: Sun, 09 Sep 2001 01:46:40 GMT"] {
        shop.books.lock().unwrap().date = date;
        let (summary, stop) = ended(&import(&shop, &desk), 3);
        assert_eq!(counts(&summary), [500, 0, 500, 200]);
        assert!(stop["detail"].as_str().unwrap().contains("remembers keys for 24 h"), "{stop}");
        assert!(stop["detail"].as_str().unwrap().contains("lines 502, 503, "), "{stop}");
        assert!(stop["hint"].as_str().unwrap().contains("--from 2001-09-09T01:45:4"), "{stop}");
        assert_eq!(desk.statuses(), statuses(&[("charged", 500), ("unknown", 500), ("not_sent", 200)]));
        assert_eq!(desk.text("orders.again.csv").lines().count(), 201);
        assert_eq!(shop.batches().len(), sent);
    }
    let desk = Desk::lines(1_200);
    let shop = killed_in_its_second_batch(&desk, Trouble::Unanswered);
    shop.books.lock().unwrap().date = "date: Mon, 10 Sep 2001 00:46:40 GMT";
    ended(&import(&shop, &desk), 0);
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
}

/// The same resume file, each record that says when something was sent being changed.
fn change_sendings(desk: &Desk, change: impl Fn(&mut Value)) {
    let text = desk.text("orders.csv.resume");
    let changed = text.lines().map(|line| {
        let json = line.split_once(' ').unwrap().1;
        let mut record: Value = serde_json::from_str(json).unwrap();
        record.get_mut("sending").into_iter().for_each(&change);
        let json = record.to_string();
        format!("{} {json}\n", &blake3::hash(json.as_bytes()).to_hex()[..8])
    });
    let changed: String = changed.collect();
    fs::write(desk.path("orders.csv.resume"), changed).unwrap();
}

#[test]
fn a_date_that_does_not_advance_makes_no_old_key_young_again() {
    let desk = Desk::lines(1_200);
    let shop = killed_in_its_second_batch(&desk, Trouble::Unanswered);
    let sent = shop.batches().len();
    // By this machine's clock a year has passed; by what a proxy says of the cluster's no time at all.
    change_sendings(&desk, |sending| {
        let here = sending["here"].as_str().unwrap().to_owned();
        let year: u32 = here[..4].parse().unwrap();
        sending["here"] = json!(format!("{}{}", year - 1, &here[4..]).replace("-02-29", "-02-28"));
    });
    let (summary, stop) = ended(&import(&shop, &desk), 3);
    assert_eq!(counts(&summary), [500, 0, 500, 200]);
    assert!(stop["detail"].as_str().unwrap().contains("remembers keys for 24 h"), "{stop}");
    assert_eq!(shop.batches().len(), sent);
}

#[test]
fn a_resume_file_of_a_build_that_noted_one_clock_is_resumed() {
    let desk = Desk::lines(1_200);
    let shop = killed_in_its_second_batch(&desk, Trouble::Unanswered);
    change_sendings(&desk, |sending| drop(sending.as_object_mut().unwrap().remove("here").unwrap()));
    ended(&import(&shop, &desk), 0);
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
}

fn limited(retry_after: &'static str) -> Trouble {
    Trouble::Undecided(Reaction::Answer(429, vec![retry_after], problem("rate_limited", 429)))
}

#[test]
fn where_nodes_limit_the_rate_it_waits_as_long_as_they_say_and_continues() {
    let desk = Desk::lines(1_200);
    let shop = shop(|before| [1, 2].contains(&before).then(|| limited("retry-after: 2")));
    // No call has the time to wait for so long by itself.
    let output = command(&shop.fake.url, &desk.input(), &["--parallel", "2", "--timeout", "1500ms"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), shop.phones().len(), shop.charged()), (Some(0), 1_200, 1_200), "{said}");
    assert!(said.contains("waiting 2 s: the nodes limit the rate of this API key\n"), "{said}");
}

#[test]
fn it_waits_for_no_rate_until_a_key_that_may_be_charged_is_forgotten() {
    let desk = Desk::lines(1_200);
    let shop = shop(|before| match before {
        1 => Some(Trouble::Unanswered),
        2 => Some(limited("retry-after: 86399")),
        _ => None,
    });
    kill_in_its_second_batch(&shop, &desk);
    let (summary, stop) = ended(&import(&shop, &desk), 3);
    assert_eq!(counts(&summary), [500, 0, 500, 200]);
    assert!(stop["detail"].as_str().unwrap().contains("rate_limited"), "{stop}");
    ended(&import(&shop, &desk), 0);
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
}

#[test]
fn interrupted_while_it_waits_for_a_rate_it_ends_at_once_and_nothing_is_in_doubt() {
    let desk = Desk::lines(700);
    let shop = shop(|before| (before == 0).then(|| limited("retry-after: 3600")));
    let mut child = start(&shop, &desk);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().starts_with("waiting 1 h"));
    signal(&child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(desk.statuses(), statuses(&[("not_sent", 700)]));
    ended(&import(&shop, &desk), 0);
    assert_eq!((shop.phones().len(), shop.charged()), (700, 700));
}

#[test]
fn what_an_earlier_run_may_have_charged_stays_in_doubt_however_a_later_run_fails() {
    let desk = Desk::lines(1_200);
    let shop = shop(|before| match before {
        1 => Some(Trouble::Unanswered),
        2 => Some(unauthenticated()),
        _ => None,
    });
    kill_in_its_second_batch(&shop, &desk);
    let (summary, _) = ended(&import(&shop, &desk), 3);
    assert_eq!(counts(&summary), [500, 0, 500, 200]);
    shop.books.lock().unwrap().date = "date: Mon, 10 Sep 2001 02:00:00 GMT";
    ended(&import(&shop, &desk), 3);
    assert_eq!(shop.batches().len(), 3);
}

#[test]
fn what_was_never_sent_may_be_sent_however_late() {
    let desk = Desk::lines(1_200);
    let shop = shop(|before| (before == 1).then(unauthenticated));
    let (summary, stop) = ended(&import(&shop, &desk), 1);
    assert_eq!(counts(&summary), [500, 0, 0, 700]);
    assert!(stop["hint"].as_str().unwrap().starts_with("set --key or ETEBAR_KEY"), "{stop}");
    shop.books.lock().unwrap().date = "date: Mon, 09 Sep 2002 01:46:40 GMT";
    ended(&import(&shop, &desk), 0);
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
}

#[test]
fn without_a_node_nothing_is_begun_and_without_answers_it_stops_with_3_and_resumes() {
    let desk = Desk::lines(1_200);
    let down = command(&nowhere(), &desk.input(), &["--timeout", ENOUGH_TEXT]).output().unwrap();
    assert_eq!(down.status.code(), Some(3));
    assert!(!desk.has("orders.csv.resume"));
    let leaderless = Reaction::Answer(503, vec![], problem("no_leader", 503));
    for (trouble, expected) in [(leaderless, [500, 0, 0, 700]), (Reaction::Break, [500, 0, 500, 200])] {
        let desk = Desk::lines(1_200);
        let broken = Arc::new(Mutex::new(true));
        let still = Arc::clone(&broken);
        let shop = shop(move |before| match before {
            0 => None,
            _ if *still.lock().unwrap() => Some(Trouble::Undecided(trouble.clone())),
            _ => None,
        });
        let (summary, stop) = ended(&hasty_import(&shop, &desk), 3);
        assert_eq!(counts(&summary), expected);
        assert!(stop["hint"].as_str().unwrap().contains("the same command continues from here"), "{stop}");
        *broken.lock().unwrap() = false;
        ended(&import(&shop, &desk), 0);
        assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
    }
}

/// Interrupts an import and reads what it says of that.
fn interrupt(child: &mut Child) -> String {
    let said = &mut String::new();
    signal(child);
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(said).unwrap();
    said.clone()
}

fn signal(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn interrupted_it_waits_for_what_is_under_way_and_sends_no_more() {
    let desk = Desk::lines(1_200);
    let (release, released) = channel();
    let released = Mutex::new(released);
    let shop = shop(move |before| {
        if before == 0 {
            released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        None
    });
    let mut child = start(&shop, &desk);
    shop.wait_for_batch();
    assert!(interrupt(&mut child).starts_with("no more is sent"));
    release.send(()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(desk.statuses(), statuses(&[("charged", 500), ("not_sent", 700)]));
    ended(&import(&shop, &desk), 0);
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
}

#[test]
fn interrupted_twice_it_waits_no_longer_and_says_what_is_unknown() {
    let desk = Desk::lines(1_200);
    let shop = shop(|before| (before == 0).then_some(Trouble::Undecided(Reaction::NoAnswer)));
    let mut child = start(&shop, &desk);
    shop.wait_for_batch();
    interrupt(&mut child);
    signal(&child);
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(desk.statuses(), statuses(&[("unknown", 500), ("not_sent", 700)]));
    ended(&import(&shop, &desk), 0);
    assert_eq!((shop.phones().len(), shop.charged()), (1_200, 1_200));
}
