//! The books, checked from outside: the journal is read as any auditor could, and every sum is taken again.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::api::caller::{self, number};
use crate::api::http::Request;
use crate::cluster::Cluster;
use crate::load::LoadResult;
use crate::wait::{self, until};

/// How many acknowledged charges are sent again to see that they replay.
const REPLAYS: usize = 100;

/// What the checks need of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From 1, without gaps.
    pub number: u64,
    /// `credit`, `charge` and so on.
    pub kind: String,
    /// The seller's id.
    pub seller: String,
    /// Signed, from the seller's side.
    pub amount: i64,
    /// The id of what was decided.
    pub reference: String,
    /// The phone of a charge or a reversal.
    pub phone: Option<String>,
}

/// The whole journal, read from one node; panics where it has a gap or breaks a rule of money.
#[track_caller]
pub fn journal(cluster: &Cluster, id: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut balances: HashMap<String, i64> = HashMap::new();
    let mut references = HashSet::new();
    cluster.admin(id).each("/v1/journal", |item| {
        let entry = read(item);
        assert_eq!(entry.number, entries.len() as u64 + 1, "the journal has no gaps");
        let balance = balances.entry(entry.seller.clone()).or_default();
        *balance += entry.amount;
        assert_eq!(*balance, number(&item["balance"]), "the running balance is the sum of the entries: {item}");
        assert!(*balance >= 0, "no balance is negative at any entry: {item}");
        let once = (entry.kind.clone(), entry.reference.clone());
        assert!(references.insert(once), "one entry for each request, charge and reversal: {item}");
        entries.push(entry);
    });
    entries
}

#[track_caller]
fn read(item: &Value) -> Entry {
    let text = |name: &str| item[name].as_str().unwrap_or_else(|| panic!("no {name} in {item}")).to_owned();
    Entry {
        number: item["entry"].as_u64().expect("every entry has a number"),
        kind: text("kind"),
        seller: text("seller_id"),
        amount: number(&item["amount"]),
        reference: text("reference"),
        phone: item["phone"].as_str().map(str::to_owned),
    }
}

/// Checks the whole ledger on every node, and that all nodes agree at one position.
#[track_caller]
pub fn check(cluster: &Cluster) -> Vec<Entry> {
    check_on(cluster, &cluster.ids())
}

/// The same of these nodes alone.
#[track_caller]
pub fn check_on(cluster: &Cluster, ids: &[u64]) -> Vec<Entry> {
    let entries = journal(cluster, ids[0]);
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for entry in &entries {
        *sums.entry(&entry.seller).or_default() += entry.amount;
    }
    for (index, (seller, sum)) in sums.iter().enumerate() {
        let admin = cluster.admin(ids[index % ids.len()]);
        let reconciled = admin.get(&format!("/v1/sellers/{seller}/reconciliation")).expect(200).json();
        assert_eq!(reconciled["consistent"], true, "{reconciled}");
        assert_eq!((number(&reconciled["sum"]), number(&reconciled["balance"])), (*sum, *sum), "{reconciled}");
    }
    let mut position = 0;
    for id in ids {
        let covering = Request::get(format!("/v1/audit?min_entry={}", entries.len()));
        let audit = cluster.admin(*id).settle(&covering).expect(200).json();
        assert_eq!(audit["consistent"], true, "{audit}");
        let total: i64 = sums.values().sum();
        assert_eq!(number(&audit["seller_balances"]), total, "{audit}");
        let phones = number(&audit["phone_balances"]);
        assert_eq!(number(&audit["treasury"]), -(total + phones), "accounts sum to zero: {audit}");
        position = position.max(audit["applied"].as_u64().expect("a position"));
    }
    agreement_of(cluster, ids, position);
    entries
}

/// Every node has the same digest at one position.
#[track_caller]
pub fn assert_agreement(cluster: &Cluster, position: u64) {
    agreement_of(cluster, &cluster.ids(), position);
}

#[track_caller]
fn agreement_of(cluster: &Cluster, ids: &[u64], position: u64) {
    let digests: Vec<String> = ids.iter().map(|id| cluster.digest_at(*id, position)).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "at {position} the nodes differ: {digests:?}");
}

/// Checks the books and the answers that a load got: nothing acknowledged is lost, nothing was done twice, a retry replays.
#[track_caller]
pub fn prove(cluster: &Cluster, result: &LoadResult) {
    let entries = check(cluster);
    let charges = entries.iter().filter(|entry| entry.kind == "charge");
    let booked: HashMap<&str, &Entry> = charges.map(|entry| (entry.reference.as_str(), entry)).collect();
    let mut claimed: HashMap<String, usize> = HashMap::new();
    for settled in result.acknowledged() {
        let answer = settled.answer.json();
        let id = answer["id"].as_str().expect("a charge's id");
        let entry = booked.get(id).unwrap_or_else(|| panic!("an acknowledged charge is lost: {answer}"));
        assert_eq!(answer["entry"], entry.number, "{answer} {entry:?}");
        assert_eq!(
            (&entry.seller, entry.phone.as_ref()),
            (&settled.seller.id, Some(&settled.phone)),
            "{answer} {entry:?}"
        );
        assert_eq!(entry.amount, -settled.amount, "{answer} {entry:?}");
        *claimed.entry(settled.seller.id.clone()).or_default() += 1;
    }
    assert_none_doubled(result, &booked, &claimed);
    assert_replays(cluster, result);
}

/// A seller of the load has a charge in the journal for each that was acknowledged, and at most one more for each open one.
#[track_caller]
fn assert_none_doubled(result: &LoadResult, booked: &HashMap<&str, &Entry>, claimed: &HashMap<String, usize>) {
    for (seller, count) in claimed {
        let found = booked.values().filter(|entry| entry.seller == *seller).count();
        assert!(found >= *count, "{seller}: {count} acknowledged, {found} in the journal");
        let open = result.open.len();
        assert!(found <= count + open, "{seller}: {count} acknowledged, {open} open, but {found} in the journal");
    }
}

#[track_caller]
fn assert_replays(cluster: &Cluster, result: &LoadResult) {
    let ids = cluster.ids();
    let step = (result.settled.len() / REPLAYS).max(1);
    for (index, settled) in result.settled.iter().step_by(step).enumerate() {
        let node = cluster.address(ids[index % ids.len()]);
        let again = until(wait::PATIENCE, "a replay", || {
            settled.request.send(node).ok().filter(|answer| !matches!(answer.status, 503 | 504))
        });
        assert!(again.replayed(), "a settled charge replays: {}", again.text());
        assert_eq!((again.status, &again.body), (settled.answer.status, &settled.answer.body), "byte for byte");
    }
}

/// The totals of one seller, as a reconciliation states them: credits, adjustments, charges, reversals, balance.
#[track_caller]
pub fn totals(caller: &caller::Caller, seller: &str) -> [i64; 5] {
    let reconciled = caller.get(&format!("/v1/sellers/{seller}/reconciliation")).expect(200).json();
    assert_eq!(reconciled["consistent"], true, "{reconciled}");
    ["credits", "adjustments", "charges", "reversals", "balance"].map(|name| number(&reconciled[name]))
}
