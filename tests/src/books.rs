//! The books, checked from outside: the journal is read as any auditor could, and every sum is taken again.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::http::Request;
use crate::load::Story;
use crate::shop::{self, number};
use crate::wait::{self, until};

/// How many acknowledged charges are sent again to see that they replay.
const REPLAYS: usize = 100;

/// The whole journal, read from one member; panics where it has a gap or breaks a rule of money.
#[track_caller]
pub fn journal(cluster: &Cluster, id: u64) -> Vec<Value> {
    let entries = cluster.admin(id).list("/v1/journal");
    let mut balances: HashMap<&str, i64> = HashMap::new();
    let mut references = HashSet::new();
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry["entry"], index as u64 + 1, "the journal has no gaps");
        let seller = entry["seller_id"].as_str().expect("every entry has a seller");
        let balance = balances.entry(seller).or_default();
        *balance += number(&entry["amount"]);
        assert_eq!(*balance, number(&entry["balance"]), "the running balance is the sum of the entries: {entry}");
        assert!(*balance >= 0, "no balance is negative at any entry: {entry}");
        let once = (entry["kind"].as_str(), entry["reference"].as_str());
        assert!(references.insert(once), "one entry for each request, charge and reversal: {entry}");
    }
    entries
}

/// Checks the whole ledger on every member, and that all members agree at one position.
#[track_caller]
pub fn check(cluster: &Cluster) -> Vec<Value> {
    let ids = cluster.ids();
    let entries = journal(cluster, ids[0]);
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for entry in &entries {
        *sums.entry(entry["seller_id"].as_str().expect("a seller").to_owned()).or_default() += number(&entry["amount"]);
    }
    for (seller, sum) in &sums {
        let member = ids[seller.len() % ids.len()];
        let reconciled = cluster.admin(member).get(&format!("/v1/sellers/{seller}/reconciliation")).expect(200).json();
        assert_eq!(reconciled["consistent"], true, "{reconciled}");
        assert_eq!((number(&reconciled["sum"]), number(&reconciled["balance"])), (*sum, *sum), "{reconciled}");
    }
    let mut position = 0;
    for id in &ids {
        let audit = cluster.admin(*id).settle(&Request::get("/v1/audit")).expect(200).json();
        assert_eq!(audit["consistent"], true, "{audit}");
        let total: i64 = sums.values().sum();
        assert_eq!(number(&audit["seller_balances"]), total, "{audit}");
        assert_eq!(
            number(&audit["treasury"]),
            -(total + number(&audit["phone_balances"])),
            "accounts sum to zero: {audit}"
        );
        position = position.max(audit["applied"].as_u64().expect("a position"));
    }
    assert_agreement(cluster, position);
    entries
}

/// Every member has the same digest at one position.
#[track_caller]
pub fn assert_agreement(cluster: &Cluster, position: u64) {
    let ids = cluster.ids();
    let digests: Vec<String> = ids.iter().map(|id| cluster.digest_at(*id, position)).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "at {position} the members differ: {digests:?}");
}

/// Checks the books and what a load was told: nothing acknowledged is lost, nothing was done twice, a retry replays.
#[track_caller]
pub fn prove(cluster: &Cluster, story: &Story) {
    let entries = check(cluster);
    let booked: HashMap<&str, &Value> = entries
        .iter()
        .filter(|entry| entry["kind"] == "charge")
        .map(|entry| (entry["reference"].as_str().expect("a charge's id"), entry))
        .collect();
    let mut claimed: HashMap<String, usize> = HashMap::new();
    for settled in story.acknowledged() {
        let told = settled.answer.json();
        let id = told["id"].as_str().expect("a charge's id");
        let entry = booked.get(id).unwrap_or_else(|| panic!("an acknowledged charge is lost: {told}"));
        assert_eq!(entry["entry"], told["entry"], "{told} {entry}");
        assert_eq!(entry["seller_id"], settled.seller.id.as_str(), "{told} {entry}");
        assert_eq!(entry["phone"], settled.phone.as_str(), "{told} {entry}");
        assert_eq!(number(&entry["amount"]), -settled.amount, "{told} {entry}");
        *claimed.entry(settled.seller.id.clone()).or_default() += 1;
    }
    assert_none_doubled(story, &booked, &claimed);
    assert_replays(cluster, story);
}

/// A seller of the load has a charge in the journal for each that was acknowledged, and at most one more for each open one.
#[track_caller]
fn assert_none_doubled(story: &Story, booked: &HashMap<&str, &Value>, claimed: &HashMap<String, usize>) {
    for (seller, count) in claimed {
        let found = booked.values().filter(|entry| entry["seller_id"] == seller.as_str()).count();
        assert!(found >= *count, "{seller}: {count} acknowledged, {found} in the journal");
        let open = story.open.len();
        assert!(found <= count + open, "{seller}: {count} acknowledged, {open} open, but {found} in the journal");
    }
}

#[track_caller]
fn assert_replays(cluster: &Cluster, story: &Story) {
    let ids = cluster.ids();
    let step = (story.settled.len() / REPLAYS).max(1);
    for (index, settled) in story.settled.iter().step_by(step).enumerate() {
        let member = cluster.address(ids[index % ids.len()]);
        let again = until(wait::PATIENCE, "a replay", || {
            settled.request.send(member).ok().filter(|answer| !matches!(answer.status, 503 | 504))
        });
        assert!(again.replayed(), "a settled charge replays: {}", again.text());
        assert_eq!((again.status, &again.body), (settled.answer.status, &settled.answer.body), "byte for byte");
    }
}

/// The totals of one seller, as a reconciliation states them: credits, adjustments, charges, reversals, balance.
#[track_caller]
pub fn totals(caller: &shop::Caller, seller: &str) -> [i64; 5] {
    let reconciled = caller.get(&format!("/v1/sellers/{seller}/reconciliation")).expect(200).json();
    assert_eq!(reconciled["consistent"], true, "{reconciled}");
    ["credits", "adjustments", "charges", "reversals", "balance"].map(|name| number(&reconciled[name]))
}
