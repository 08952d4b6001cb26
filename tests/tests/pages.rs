//! A backup of a stopped node, read by a program that shares no code with the node: it comes to the same digests.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::api::caller::{id_of, phone, unique};
use tests::load::batches::charge_in_batches;
use tests::machine::needs::{Need, lacks};
use tests::machine::programs::{clean_command, programs, root};
use tests::{Cluster, Folder, Plan};

/// Writes a backup of a data directory to `file`, for whoever has so many records.
fn back_up(data_dir: &Path, after: u64, file: &Path) -> Output {
    let file = fs::File::create(file).expect("a file for the backup");
    let mut command = clean_command(&programs().node);
    command.arg("backup").arg("--data-dir").arg(data_dir).arg("--after").arg(after.to_string()).stdout(file);
    command.stderr(Stdio::piped()).output().expect("the program starts")
}

/// What the reader says of a backup.
fn read(file: &Path) -> Output {
    let mut python: Command = clean_command("python3");
    python.arg(root().join("docs/examples/pages.py")).arg(file).env("PYTHONDONTWRITEBYTECODE", "1");
    python.output().expect("python3 starts (Debian: apt-get install python3)")
}

#[track_caller]
fn read_well(file: &Path) -> Value {
    let done = read(file);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a line of JSON")
}

/// A ledger with each kind of decision, refusals between entries, and several pages.
fn all_kinds(cluster: &Cluster) {
    let seller = cluster.seller_with(1_000_000);
    charge_in_batches(cluster, &seller, 3, 100);
    let (admin, own) = (cluster.admin(1), cluster.seller(1, &seller));
    let order = json!({"phone": phone(7), "amount": "300", "reference": "سفارش-۱۷"});
    let charge = own.post_keyed("/v1/charges", &unique("order"), &order).expect(201);
    assert_eq!(charge.json()["reference"], "سفارش-۱۷");
    own.charge(&unique("too-much"), &phone(7), 900_000_000).expect(409);
    let reversal = format!("/v1/charges/{}/reversal", id_of(&charge));
    admin.post_keyed(&reversal, &unique("undo"), &json!({"reason": "wrong number"})).expect(201);
    let adjustments = format!("/v1/sellers/{}/adjustments", seller.id);
    admin.post_keyed(&adjustments, &unique("correct"), &json!({"amount": "-500", "reason": "twice"})).expect(201);
    let asked = json!({"amount": "7", "note": "for\nlater", "reference": "INV-9"});
    let asked = own.post_keyed("/v1/credit-requests", &unique("ask"), &asked).expect(201);
    assert_eq!(asked.json()["reference"], "INV-9");
    admin.approve(&id_of(&asked)).expect(200);
    let rejected = own.request_credit(9);
    admin.post(&format!("/v1/credit-requests/{rejected}/reject"), &json!({"reason": "no"})).expect(200);
    let (_, key) = admin.new_key("auditor", None);
    admin.delete(&format!("/v1/keys/{key}")).expect(204);
    for verb in ["suspend", "activate"] {
        admin.post(&format!("/v1/sellers/{}/{verb}", seller.id), &json!({})).expect(200);
    }
}

#[test]
fn a_reader_that_shares_no_code_comes_to_the_digests_of_a_running_node() {
    if lacks(Need::Python, "a backup, by a reader in another language") {
        return;
    }
    let cluster = Plan::new("pages").nodes(1).start();
    all_kinds(&cluster);
    let admin = cluster.admin(1);
    let digest = admin.get("/v1/cluster/digest").expect(200).json()["digest"].clone();
    let journal = admin.list("/v1/journal");
    let last = journal.last().expect("entries").clone();
    let with_reference: Vec<_> = journal.iter().filter(|entry| entry["caller_reference"].is_string()).collect();
    assert_eq!(with_reference.len(), 2, "the charge and the credit");
    let (node, folder) = (cluster.node(1), Folder::new("pages-backup"));
    let file = folder.path().join("ledger.backup");
    let refused = back_up(&node.data_dir, 0, &file);
    assert_eq!(refused.status.code(), Some(1), "a node runs on it");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("served by another process"));

    assert_eq!(node.terminate(Duration::from_secs(10)).code(), Some(0));
    let done = back_up(&node.data_dir, 0, &file);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let found = read_well(&file);
    assert_eq!(found["digest"], digest);
    assert_eq!((&found["entries"], &found["entry_digest"]), (&last["entry"], &last["digest"]));
    assert!(found["records"].as_u64() > last["record"].as_u64(), "the last decisions moved no money");

    let middle = folder.path().join("increment.backup");
    assert!(back_up(&node.data_dir, 100, &middle).status.success());
    let found = read_well(&middle);
    assert_eq!((&found["digest"], &found["entries"]), (&digest, &last["entry"]), "a page and its header are enough");
    assert_eq!(back_up(&node.data_dir, 10_000, &middle).status.code(), Some(1), "there are fewer records");

    let mut bytes = fs::read(&file).expect("the backup");
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&middle, &bytes).expect("written");
    assert!(!read(&middle).status.success(), "a flipped bit is noticed");
    fs::write(&middle, &bytes[..place]).expect("written");
    assert!(!read(&middle).status.success(), "so is a file that is cut short");
}
