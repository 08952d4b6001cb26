//! `etebar watch`: in a terminal, in a pipe, and over nodes that are down, do not answer, or differ.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::api::caller::unique;
use tests::machine::needs::{Need, lacks};
use tests::operator::tmux::Tmux;

use crate::fake::{Fake, Reaction, nowhere, problem};
use crate::program::{code, err, etebar, out};

/// Node 1, which leads and names these addresses as nodes 2 and 3; and node 2, with that digest.
fn cluster(second_digest: &'static str, hung: &Arc<AtomicBool>) -> Fake {
    let members = Arc::new(Mutex::new(Value::Null));
    let node = |id: u64, digest: &'static str, lines: Vec<&'static str>, hung: Arc<AtomicBool>| {
        let members = Arc::clone(&members);
        Fake::start(move |asked, _| {
            if hung.load(Ordering::SeqCst) {
                return Reaction::NoAnswer;
            }
            let body = if asked.line.contains("/digest") {
                json!({"node": id, "applied": 9, "digest": digest})
            } else {
                let clock = if id == 2 { "differs" } else { "agrees" };
                let members = members.lock().unwrap().clone();
                let keys = json!({"held": 31_000_000, "max": 40_000_000, "fullest_share": 9_000_000});
                json!({"leader": 1, "term": 4, "applied": 12_345, "version": "0", "members": members, "clock": clock,
                    "keys": keys})
            };
            Reaction::Answer(200, lines.clone(), body.to_string())
        })
    };
    let first = node(1, "d1d1d1d1d1", vec!["etebar-node: 1"], Arc::default());
    let second = node(2, second_digest, vec!["etebar-node: 2"], Arc::clone(hung));
    let member = |id: u64, api: &str| json!({"id": id, "api": api, "peer": "p:1", "role": "voter", "healthy": true, "applied": 9, "lag": 0});
    *members.lock().unwrap() = json!([member(1, &first.url), member(2, &second.url), member(3, &nowhere())]);
    first
}

fn states(snapshot: &Value) -> Vec<&str> {
    snapshot["members"].as_array().unwrap().iter().map(|node| node["state"].as_str().unwrap()).collect()
}

#[test]
fn a_poll_has_every_node_that_the_cluster_names_also_those_that_do_not_answer() {
    let fake = cluster("d1d1d1d1d1", &Arc::default());
    let output = etebar(&fake.url, &["watch", "--json", "--count", "2", "--interval", "3s"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = out(&output);
    let sights: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(sights.len(), 2);
    for snapshot in &sights {
        assert_eq!(states(snapshot), ["healthy", "healthy", "down"]);
        assert_eq!(
            (&snapshot["leader"], &snapshot["term"], &snapshot["applied"]),
            (&json!(1), &json!(4), &json!(12_345))
        );
        let clocks: Vec<&Value> = snapshot["members"].as_array().unwrap().iter().map(|node| &node["clock"]).collect();
        assert_eq!(clocks, [&json!("agrees"), &json!("differs"), &Value::Null]);
        assert_eq!((&snapshot["position"], &snapshot["agree"]), (&json!(12_345), &json!(true)));
        assert_eq!(snapshot["keys"]["held"], 31_000_000);
        assert_eq!(
            (&snapshot["members"][0]["role"], &snapshot["members"][1]["role"]),
            (&json!("leader"), &json!("follower"))
        );
    }
    let people = out(&etebar(&fake.url, &["watch", "--count", "1", "--interval", "10s"]));
    assert_eq!(people.lines().count(), 1, "{people}");
    assert!(people.contains("leader 1, term 4, applied 12,345"), "{people}");
    assert!(people.contains("2 follower healthy (clock differs)"), "{people}");
    assert!(people.contains("keys: 31,000,000 of 40,000,000, the fullest seller has 9,000,000"), "{people}");
}

#[test]
fn different_digests_end_it_with_4() {
    let fake = cluster("d2d2d2d2d2", &Arc::default());
    let output = etebar(&fake.url, &["watch", "--json", "--count", "1", "--interval", "10s"]);
    assert_eq!(code(&output), 4, "{}", err(&output));
    let snapshot: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(snapshot["agree"], false);
    assert!(err(&output).contains("node 1 has d1d1d1d1d1, node 2 has d2d2d2d2d2"), "{}", err(&output));
}

#[test]
fn no_reachable_node_ends_it_with_3_and_a_refused_key_with_1() {
    let down = etebar(&nowhere(), &["watch", "--count", "1", "--interval", "200ms"]);
    assert_eq!(code(&down), 3, "{}", err(&down));
    assert!(out(&down).contains("down"), "{}", out(&down));
    let fake = Fake::start(|_, _| Reaction::Answer(401, vec![], problem("unauthenticated", 401)));
    let refused = etebar(&fake.url, &["watch", "--interval", "10s"]);
    assert_eq!(code(&refused), 1, "{}", err(&refused));
    assert_eq!(code(&etebar(&fake.url, &["watch", "--interval", "100ms"])), 2);
}

fn watching(fake: &Fake, settings: &[(&str, &str)], arguments: &str) -> Tmux {
    watching_as("", fake, settings, arguments)
}

/// The program, started by this command.
fn watching_as(starter: &str, fake: &Fake, settings: &[(&str, &str)], arguments: &str) -> Tmux {
    let settings = [&[("ETEBAR_SERVER", fake.url.as_str()), ("ETEBAR_KEY", "etb_admin_x")], settings].concat();
    let terminal = Tmux::start((80, 24), &settings);
    terminal.command("before=$(stty -g)");
    let program = env!("CARGO_BIN_EXE_etebar");
    terminal.command(&format!(
        "{starter} {program} watch {arguments}; echo \"exit=$? same=$([ \"$before\" = \"$(stty -g)\" ] && echo yes)\""
    ));
    terminal.wait_for("q quits");
    terminal
}

/// The state that the table shows of a node.
fn shown(screen: &str, node: u64) -> Option<String> {
    let row = screen.lines().find(|line| line.trim_start().starts_with(&format!("{node}  127.")))?;
    row.split_whitespace().nth(3).map(str::to_owned)
}

#[test]
fn the_table_follows_what_nodes_do_and_fits_the_terminal() {
    if lacks(Need::Tmux, "watch on a terminal") {
        return;
    }
    let hung = Arc::new(AtomicBool::new(false));
    let fake = cluster("d1d1d1d1d1", &hung);
    let terminal = watching(&fake, &[], "");
    let screen = terminal.wait_until("two agreeing nodes", |screen| {
        shown(screen, 2).as_deref() == Some("healthy") && screen.contains("2 digests agree at 12,345")
    });
    assert!(screen.contains("node 2: clock differs"), "{screen}");
    assert!(screen.contains("d1d1d1d1"), "80 columns hold all: {screen}");
    assert_eq!(shown(&screen, 3).as_deref(), Some("down"));
    hung.store(true, Ordering::SeqCst);
    terminal.wait_until("a node that does not answer", |screen| shown(screen, 2).as_deref() == Some("timeout"));
    hung.store(false, Ordering::SeqCst);
    terminal.wait_until("its return", |screen| shown(screen, 2).as_deref() == Some("healthy"));
    terminal.resize((40, 10));
    terminal.wait_until("lines that are cut, not wrapped", |screen| {
        screen.lines().next().is_some_and(|line| line.starts_with("leader 1"))
            && shown(screen, 3).is_some()
            && !screen.contains("d1d1d1d1")
    });
    terminal.keys(&["q"]);
    let after = terminal.wait_for("exit=0 same=yes");
    assert!(!after.contains("q quits"), "the screen from before is back: {after}");
}

#[test]
fn colours_are_off_where_no_color_is_set() {
    if lacks(Need::Tmux, "watch on a terminal") {
        return;
    }
    let fake = cluster("d1d1d1d1d1", &Arc::default());
    let red = "\u{1b}[1m\u{1b}[31mdown";
    let coloured = watching(&fake, &[], "--interval 10s").colours();
    assert!(coloured.contains(red), "{coloured:?}");
    let plain = watching(&fake, &[("NO_COLOR", "1")], "--interval 10s");
    assert!(plain.screen().contains("down"));
    assert!(!plain.colours().contains("\u{1b}[31m"), "{:?}", plain.colours());
}

#[test]
fn a_dumb_terminal_gets_lines() {
    if lacks(Need::Tmux, "watch on a terminal") {
        return;
    }
    let fake = cluster("d1d1d1d1d1", &Arc::default());
    let settings = [("ETEBAR_SERVER", fake.url.as_str()), ("ETEBAR_KEY", "etb_admin_x")];
    let terminal = Tmux::start((80, 24), &settings);
    terminal.command(&format!(
        "TERM=dumb {} watch --count 1 --interval 10s; echo \"exit=$?\"",
        env!("CARGO_BIN_EXE_etebar")
    ));
    let screen = terminal.wait_for("exit=0");
    assert!(screen.contains("leader 1, term 4") && !screen.contains("q quits"), "{screen}");
    assert!(!terminal.colours().contains("\u{1b}[31m"), "{screen}");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    if lacks(Need::Tmux, "watch on a terminal") {
        return;
    }
    let fake = cluster("d1d1d1d1d1", &Arc::default());
    let file = std::env::temp_dir().join(unique("watch.pid"));
    // The shell becomes the program, whose number is then the one that it wrote down.
    let become_it = format!("sh -c 'echo $$ > {}; exec \"$0\" \"$@\"'", file.display());
    let terminal = watching_as(&become_it, &fake, &[], "--interval 10s");
    let pid = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::TERM).unwrap();
    terminal.wait_for("exit=1 same=yes");
}
