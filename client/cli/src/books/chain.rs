//! The chain of published digests, recomputed entry by entry. Which bytes it covers is the business of [`ledger`] alone.
//!
//! Entries of one page of records are hashed together, after the digest at the last entry before that page. So a check can begin
//! after an entry that is the last of its page, and after no other.

use ledger::{Account, Digest, EntryChain, page_of};
use uuid::Uuid;

use etebar::api::{Entry, EntryKind};

use super::promise::{Findings, Promise};

/// An entry, and the digest that the journal has there. Where it is the last one of its page of records it is enough to check what
/// comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrustedEntry {
    pub(crate) entry: u64,
    pub(crate) digest: Digest,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Chain {
    ledger: Uuid,
    entries: EntryChain,
    /// The last entry, with the digest that the journal states there.
    last: TrustedEntry,
    /// The page of records whose entries are the open block; `None` before the first entry.
    block: Option<u64>,
    /// The last entry before the open block.
    before: TrustedEntry,
    is_broken: bool,
}

impl Chain {
    /// From the beginning of the journal of the ledger with this id, or after an entry whose digest is known and that is the last of
    /// its page.
    pub(crate) fn after(ledger: Uuid, trusted: Option<TrustedEntry>) -> Chain {
        let last = trusted.unwrap_or(TrustedEntry { entry: 0, digest: Digest::ZERO });
        Chain { ledger, entries: EntryChain::default(), last, block: None, before: last, is_broken: false }
    }

    /// Takes the next entry. Where a digest is wrong, so are those after it in its block. They are not counted again, and from
    /// the next block on the chain is checked against what is stated: one fault counts once.
    pub(crate) fn take(&mut self, entry: &Entry, findings: &mut Findings) {
        let block = page_of(entry.record);
        if self.block != Some(block) {
            if self.block.is_none() || self.is_broken {
                self.entries = EntryChain::before_page(block, self.last.digest);
                self.is_broken = false;
            }
            self.before = self.last;
            self.block = Some(block);
        }
        let stated = Digest::from_hex(&entry.digest);
        let covered = ledger_entry(entry);
        if let Some(covered) = &covered {
            self.entries.push(self.ledger, covered);
        }
        if !self.is_broken {
            let holds = covered.is_some() && stated == Some(self.entries.digest());
            findings.check(Promise::DigestChain, holds, || format!("entry {}: {}", entry.entry, entry.digest));
            self.is_broken = !holds;
        }
        self.last = TrustedEntry { entry: entry.entry, digest: stated.unwrap_or(self.last.digest) };
    }

    /// The last entry after which a later check can go on: that before the page of the last entry, since later entries may be
    /// of that page too. `None` where there is none.
    pub(crate) fn resumable(&self) -> Option<TrustedEntry> {
        (self.before.entry > 0).then_some(self.before)
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
        record: entry.record,
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
        caller_reference: entry.caller_reference.as_deref(),
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
