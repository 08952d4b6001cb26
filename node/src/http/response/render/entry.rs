//! A journal entry as JSON.

use etebar_api as api;
use ledger::{Digest, EntryKind};

use super::{LedgerInfo, timestamp};

/// The entry, with the chain's digest up to and with it.
pub(crate) fn entry(info: &LedgerInfo, entry: &ledger::Entry<'_>, digest: &Digest) -> api::Entry {
    api::Entry {
        entry: entry.number,
        record: entry.record,
        created_at: timestamp(entry.time),
        kind: match entry.kind {
            EntryKind::Credit => api::EntryKind::Credit,
            EntryKind::Adjustment => api::EntryKind::Adjustment,
            EntryKind::Charge => api::EntryKind::Charge,
            EntryKind::Reversal => api::EntryKind::Reversal,
        },
        seller_id: entry.seller,
        amount: info.amount(entry.amount),
        balance: info.amount(entry.balance),
        debit: entry.debit.to_string(),
        credit: entry.credit.to_string(),
        reference: entry.reference,
        phone: entry.phone.map(|phone| phone.to_string()),
        actor: entry.actor.to_owned(),
        caller_reference: entry.caller_reference.map(str::to_owned),
        digest: digest.to_string(),
    }
}
