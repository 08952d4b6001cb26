//! `etebar credit-requests review` in a terminal, against a ledger of one request.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tests::machine::needs::{Need, lacks};
use tests::operator::tmux::Tmux;
use uuid::Uuid;

use crate::fake::{Fake, Reaction, problem};
use crate::program::{code, err, etebar};

const SELLER: Uuid = Uuid::from_u128(2);
const REQUEST: Uuid = Uuid::from_u128(10);

fn request(status: &str, by: Option<&str>, reason: Option<&str>) -> Value {
    json!({
        "id": REQUEST, "seller_id": SELLER, "amount": "1000000", "note": "week\u{1b}[2J 12", "status": status,
        "created_at": "2026-11-01T08:30:00.000Z", "decided_at": null, "decided_by": by, "reason": reason,
    })
}

/// A ledger with one pending request. `verdict` answers a verdict; from then on the request stands as `after`.
fn ledger(verdict: (u16, String), after: Value) -> Fake {
    reacting(after, move |_| Reaction::Answer(verdict.0, vec![], verdict.1.clone()))
}

/// The same, where `verdict` reacts to a verdict; it gets how many came before.
fn reacting(after: Value, verdict: impl Fn(usize) -> Reaction + Send + Sync + 'static) -> Fake {
    let state = Arc::new(Mutex::new((request("pending", None, None), 0)));
    Fake::start(move |asked, _| {
        let (now, verdicts) = &mut *state.lock().unwrap();
        if asked.line.starts_with("POST ") {
            *now = after.clone();
            *verdicts += 1;
            return verdict(*verdicts - 1);
        }
        let body = if asked.line.starts_with("GET /v1/credit-requests?") {
            let pending = now["status"] == "pending";
            json!({"items": if pending { vec![now.clone()] } else { vec![] }, "next": null})
        } else if asked.line.starts_with("GET /v1/credit-requests/") {
            now.clone()
        } else {
            json!({"id": SELLER, "name": "فروشگاه", "status": "suspended", "balance": "700000",
                   "created_at": "2026-11-01T08:30:00.000Z"})
        };
        Reaction::Answer(200, vec![], body.to_string())
    })
}

fn verdicts(fake: &Fake) -> Vec<String> {
    fake.asked().into_iter().filter(|asked| asked.line.starts_with("POST ")).map(|asked| asked.line).collect()
}

fn reviewing(fake: &Fake) -> Tmux {
    reviewing_with(fake, "")
}

/// The same with these options.
fn reviewing_with(fake: &Fake, options: &str) -> Tmux {
    let settings = [("ETEBAR_SERVER", fake.url.as_str()), ("ETEBAR_KEY", "etb_admin_x")];
    let terminal = Tmux::start((100, 40), &settings);
    terminal.command("stty -g > /dev/null; before=$(stty -g)");
    let program = env!("CARGO_BIN_EXE_etebar");
    terminal.command(&format!(
        "clear; {program} {options} credit-requests review; echo \"exit=$? same=$([ \"$before\" = \"$(stty -g)\" ] && echo yes)\""
    ));
    terminal.wait_for("? help >");
    terminal
}

#[test]
fn a_request_is_shown_with_all_that_a_verdict_needs() {
    if lacks(Need::Tmux, "review on a terminal") {
        return;
    }
    let fake = ledger((200, request("approved", Some("me"), None).to_string()), request("approved", Some("me"), None));
    let terminal = reviewing(&fake);
    let screen = terminal.screen();
    for shown in ["request 1 of 1", "فروشگاه", "suspended", "1,000,000", "[2J 12", "700,000", "1,700,000"] {
        assert!(screen.contains(shown), "{shown} is missing in\n{screen}");
    }
    terminal.keys(&["?"]);
    terminal.wait_for("A verdict is final");
    terminal.keys(&["q"]);
    terminal.wait_for("approved 0, rejected 0, skipped 0, not looked at 1");
    terminal.wait_for("exit=0 same=yes");
}

#[test]
fn one_key_decides_nothing() {
    if lacks(Need::Tmux, "review on a terminal") {
        return;
    }
    let fake = ledger((200, request("approved", Some("me"), None).to_string()), request("approved", Some("me"), None));
    let terminal = reviewing(&fake);
    terminal.keys(&["a"]);
    terminal.wait_for("credit 1,000,000 to");
    terminal.keys(&["a"]);
    terminal.wait_for("not approved");
    terminal.keys(&["r"]);
    terminal.wait_for("reason, which");
    terminal.text("no");
    terminal.keys(&["Escape"]);
    terminal.wait_for("not rejected");
    terminal.keys(&["s"]);
    terminal.wait_for("approved 0, rejected 0, skipped 1");
    assert_eq!(verdicts(&fake), Vec::<String>::new());
}

#[test]
fn a_verdict_that_another_admin_gave_meanwhile_is_shown_and_no_error() {
    if lacks(Need::Tmux, "review on a terminal") {
        return;
    }
    let fake =
        ledger((409, problem("credit_request_decided", 409)), request("rejected", Some("boss"), Some("too late")));
    let terminal = reviewing(&fake);
    terminal.keys(&["a"]);
    terminal.wait_for("credit 1,000,000 to");
    terminal.keys(&["Enter"]);
    terminal.wait_for("rejected meanwhile by boss (too late); nothing moved now");
    terminal.wait_for("approved 0, rejected 0, skipped 0, decided by others 1");
    terminal.wait_for("exit=0 same=yes");
}

#[test]
fn a_verdict_counts_as_ours_where_only_its_first_answer_was_lost() {
    if lacks(Need::Tmux, "review on a terminal") {
        return;
    }
    let approved = request("approved", Some("me"), None);
    let replay = Reaction::Answer(200, vec!["idempotency-replayed: true"], approved.to_string());
    for (lost, closing) in [(1, "approved 1 (1,000,000), rejected 0, skipped 0"), (0, "decided by others 1")] {
        let replay = replay.clone();
        let fake =
            reacting(approved.clone(), move |before| if before < lost { Reaction::Break } else { replay.clone() });
        let terminal = reviewing(&fake);
        terminal.keys(&["a"]);
        terminal.wait_for("credit 1,000,000 to");
        terminal.keys(&["Enter"]);
        terminal.wait_for(closing);
        assert_eq!(verdicts(&fake).len(), lost + 1);
    }
}

#[test]
fn a_verdict_without_an_answer_ends_it_with_3_and_names_the_request() {
    if lacks(Need::Tmux, "review on a terminal") {
        return;
    }
    let fake = reacting(request("pending", None, None), |_| Reaction::Break);
    let terminal = reviewing_with(&fake, "--timeout 500ms");
    terminal.keys(&["a"]);
    terminal.wait_for("credit 1,000,000 to");
    terminal.keys(&["Enter"]);
    terminal.wait_for("the outcome is unknown");
    terminal.keys(&["q"]);
    let screen = terminal.wait_for("exit=3 same=yes");
    assert!(screen.contains(&format!("credit-requests show {REQUEST}")), "{screen}");
}

#[test]
fn a_key_that_may_not_decide_ends_it_with_1_and_the_terminal_as_it_was() {
    if lacks(Need::Tmux, "review on a terminal") {
        return;
    }
    let fake = ledger((403, problem("forbidden", 403)), request("pending", None, None));
    let terminal = reviewing(&fake);
    terminal.keys(&["r"]);
    terminal.wait_for("reason, which");
    terminal.text("over the limit");
    terminal.keys(&["Enter"]);
    terminal.wait_for("exit=1 same=yes");
    assert!(fake.asked().iter().any(|asked| asked.body == r#"{"reason":"over the limit"}"#));
}

#[test]
fn elsewhere_than_on_a_terminal_it_is_wrong_usage() {
    let fake = ledger((200, String::new()), request("pending", None, None));
    for arguments in [&["credit-requests", "review"][..], &["credit-requests", "review", "--json"]] {
        let output = etebar(&fake.url, arguments);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains("list --status pending"), "{}", err(&output));
    }
}
