//! The ledger on this node: how much it holds, how full its bounds are, what its audit says.

use std::fmt::Result;

use super::sheet::Sheet;
use crate::raft::Observation;

pub(super) fn write(sheet: &mut Sheet<'_>, seen: &Observation) -> Result {
    sheet.gauge("records", "Records of this node's history", seen.records as f64)?;
    sheet.gauge("journal_entries", "Entries of the journal on this node", seen.entries as f64)?;
    sheet.gauge("sellers", "Sellers of the ledger", seen.sellers as f64)?;
    let (held, most) = seen.keys;
    sheet.gauge("idempotency_keys", "Idempotency keys that are remembered", held as f64)?;
    let help = "The most of them that may be remembered: near it new commands are refused";
    sheet.gauge("idempotency_keys_max", help, most as f64)?;
    let (waiting, most) = seen.waiting;
    sheet.gauge("commands_waiting", "Commands that wait on this node to be proposed", waiting as f64)?;
    sheet.gauge("commands_waiting_max", "The most of them that may wait: more are refused", most as f64)?;
    let help = "The version of the rules that the ledger goes by; 0 before its genesis";
    sheet.gauge("rules_version", help, f64::from(seen.cluster.rules))?;
    let help = "The newest version of the rules that this node's build knows";
    sheet.gauge("rules_known_version", help, f64::from(seen.rules_known))?;
    sheet.gauge(
        "audit_lag_records",
        "Records that this node's audit has not come to yet",
        seen.books.audit_lag as f64,
    )?;
    let help = "1 while this node's audit goes on and found no promise broken, else 0: see the log";
    sheet.flag("audit_consistent", help, seen.books.is_consistent)?;
    let help = "The epoch of the ledger: 1, and one more for each restore; 0 before its genesis";
    sheet.gauge("epoch", help, f64::from(seen.epoch))?;
    let help = "1 while every write is refused, after a restore and until an admin opens the ledger";
    sheet.flag("on_hold", help, seen.is_on_hold)?;
    let help = "When a backup was verified and noted last, in seconds since the Unix epoch; 0 where none was";
    sheet.gauge("last_backup_timestamp_seconds", help, seen.last_backup_ms as f64 / 1_000.0)
}
