//! The chain of published digests, recomputed entry by entry. Which bytes it covers is the business of [`ledger`] alone.

use ledger::{Account, Digest, chain_entry};
use uuid::Uuid;

use etebar::api::{Entry, EntryKind};

/// An entry, and the digest that the journal has there: enough to check what comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrustedEntry {
    pub(crate) entry: u64,
    pub(crate) digest: Digest,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Chain {
    last: TrustedEntry,
}

impl Chain {
    /// From the beginning of a journal, or after an entry whose digest is known.
    pub(crate) fn after(trusted: Option<TrustedEntry>) -> Chain {
        Chain { last: trusted.unwrap_or(TrustedEntry { entry: 0, digest: Digest::ZERO }) }
    }

    /// Takes the next entry; whether the digest that it states is the one that follows from all before it.
    pub(crate) fn take(&mut self, entry: &Entry) -> bool {
        let stated = Digest::from_hex(&entry.digest);
        let due = ledger_entry(entry).map(|entry| chain_entry(&self.last.digest, &entry));
        // From a broken link on, the chain is checked against what is stated, so that one fault counts once.
        self.last = TrustedEntry { entry: entry.entry, digest: stated.unwrap_or(self.last.digest) };
        stated.is_some() && stated == due
    }

    /// The last entry after which a later check can go on; `None` before there is one.
    pub(crate) fn resumable(&self) -> Option<TrustedEntry> {
        (self.last.entry > 0).then_some(self.last)
    }
}

/// The entry as the chain covers it; `None` where a part of it is none of the ledger's.
pub(super) fn ledger_entry(entry: &Entry) -> Option<ledger::Entry<'_>> {
    let phone = match &entry.phone {
        Some(phone) => Some(ledger::Phone::new(phone_digits(phone)?)?),
        None => None,
    };
    Some(ledger::Entry {
        number: entry.entry,
        time: ledger::Time(entry.created_at.0),
        kind: match entry.kind {
            EntryKind::Credit => ledger::EntryKind::Credit,
            EntryKind::Adjustment => ledger::EntryKind::Adjustment,
            EntryKind::Charge => ledger::EntryKind::Charge,
            EntryKind::Reversal => ledger::EntryKind::Reversal,
        },
        seller: entry.seller_id,
        amount: i64::try_from(entry.amount.minor()).ok()?,
        balance: i64::try_from(entry.balance.minor()).ok()?,
        debit: account(&entry.debit)?,
        credit: account(&entry.credit)?,
        reference: entry.reference,
        phone,
        actor: &entry.actor,
    })
}

fn account(text: &str) -> Option<Account> {
    if text == "treasury" {
        return Some(Account::Treasury);
    }
    if let Some(id) = text.strip_prefix("seller:") {
        return Uuid::parse_str(id).ok().map(Account::Seller);
    }
    ledger::Phone::new(phone_digits(text.strip_prefix("phone:")?)?).map(Account::Phone)
}

/// The digits of a number in E.164.
pub(crate) fn phone_digits(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+')?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}
