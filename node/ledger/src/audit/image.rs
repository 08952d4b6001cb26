//! An audit as an image holds it: parts of bounded size, from which the same audit is put together again.
//!
//! As the image of a state is, it is a shortcut of one node and never the truth: feeding all records from the first one on gives
//! the same audit. It proves nothing about the records behind it but that they were audited once, and it holds no finding: an
//! audit that found a promise broken has no parts, so a start from an image before it finds the same again.
//!
//! Order: the head first; the rest in any order. Which accounts a state is asked for next is not kept: all are, in turn.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::actors::ActorPart;
use super::keys::KeyTables;
use super::once::Request;
use super::{Audit, SellerBooks, Sums};
use crate::digest::{Digest, EntryChain, RecordChain};
use crate::page::{PageMark, page_of};
use crate::record::Record;
use crate::state::image::{ImageError, pieces};
use crate::state::policy::Policy;
use crate::state::sharded::TableSeed;
use crate::values::ids::{ApiKeyNumber, IdSpace, RecordNumber, Time};
use crate::values::phone::Phone;

/// The form of the parts. Raised with every change of them but a new part at the end, which an older image does without; an image
/// of another one is not read.
pub const AUDIT_IMAGE_VERSION: u32 = 2;

/// A part of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuditPart(Inner);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Inner {
    /// What there is once.
    Head(Box<Head>),
    /// Sellers by their numbers: the sum of each one's entries, and the balance that the last one states.
    Sellers(Vec<(RecordNumber, SellerBooks)>),
    /// API keys.
    Actors(Vec<ActorPart>),
    /// Suspended sellers.
    Suspended(Vec<RecordNumber>),
    /// Credit requests, pending or not.
    Requests(Vec<(RecordNumber, Request)>),
    /// Charges that were reversed.
    Reversed(Vec<RecordNumber>),
    /// Phones with what each holds.
    Phones(Vec<(Phone, i64)>),
    /// Idempotency keys.
    Keys(KeyTables),
    /// The ends of API keys. After the keys.
    Ends(Vec<(ApiKeyNumber, Time)>),
    /// The policy of the back office.
    Policy(Policy),
    /// Who filed the pending credit requests that sellers did not file themselves.
    Filed(Vec<(RecordNumber, ApiKeyNumber)>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// The seed under which the tables in the other parts are hashed.
    seed: TableSeed,
    ledger: Uuid,
    epoch: u32,
    /// The epochs after the first one, and the record that began each.
    later_epochs: Vec<(u32, RecordNumber)>,
    on_hold: bool,
    rules: u32,
    window_ms: u64,
    records: u64,
    time: Time,
    record_digest: Digest,
    entry_digest: Digest,
    sums: Sums,
    seller_total: i128,
    phone_total: i128,
    /// See [`super::keys::Keys`].
    marks: Vec<(Time, RecordNumber)>,
    first_live: RecordNumber,
    counts: Counts,
}

/// How many items of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    sellers: u64,
    actors: u64,
    suspended: u64,
    requests: u64,
    reversed: u64,
    phones: u64,
    keys: u64,
}

impl Audit {
    /// The audit in parts, made one after the other; `None` before the first record, and where a promise was found broken.
    pub fn parts(&self) -> Option<impl Iterator<Item = AuditPart> + '_> {
        if self.records == 0 || !self.findings.is_empty() {
            return None;
        }
        let head = core::iter::once_with(|| Inner::Head(Box::new(self.head())));
        let sellers = pieces(self.sellers.iter().map(|(seller, books)| (*seller, *books))).map(Inner::Sellers);
        let actors = pieces(self.actors.parts()).map(Inner::Actors);
        let ends = pieces(self.actors.ends()).map(Inner::Ends);
        let policy = Some(self.actors.policy()).filter(|policy| *policy != Policy::default()).map(Inner::Policy);
        let filed = pieces(self.actors.filed()).map(Inner::Filed);
        let suspended = pieces(self.actors.suspended()).map(Inner::Suspended);
        let requests = pieces(self.once.requests()).map(Inner::Requests);
        let reversed = pieces(self.once.reversed()).map(Inner::Reversed);
        let phones = pieces(self.phones.all()).map(Inner::Phones);
        let keys = self.keys.in_tables(self.records).map(Inner::Keys);
        let parts = head
            .chain(sellers)
            .chain(actors)
            .chain(ends)
            .chain(policy)
            .chain(filed)
            .chain(suspended)
            .chain(requests)
            .chain(reversed);
        Some(parts.chain(phones).chain(keys).map(AuditPart))
    }

    fn head(&self) -> Head {
        let (marks, first_live) = self.keys.live();
        Head {
            seed: self.keys.seed(),
            ledger: self.ledger,
            epoch: self.epoch,
            later_epochs: self.later_epochs.clone(),
            on_hold: self.on_hold,
            rules: self.actors.rules(),
            window_ms: self.keys.window_ms(),
            records: self.records,
            time: self.time,
            record_digest: self.record_chain.digest(),
            entry_digest: self.entry_chain.digest(),
            sums: self.sums,
            seller_total: self.seller_total,
            phone_total: self.phones.total(),
            marks,
            first_live,
            counts: self.counts(),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            sellers: self.sellers.len() as u64,
            actors: self.actors.parts().count() as u64,
            suspended: self.actors.suspended().count() as u64,
            requests: self.once.requests().count() as u64,
            reversed: self.once.reversed().count() as u64,
            phones: self.phones.all().count() as u64,
            keys: self.keys.count(self.records),
        }
    }

    /// What differs between two audits of the same records and table seed; `None` where nothing does. For tests: it looks at
    /// every account and key.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let same = |is_same: bool, what: &'static str| (!is_same).then_some(what);
        let alike = self.phones.all().all(|(phone, balance)| other.phones.balance(phone) == balance);
        same(self.head() == other.head(), "the head")
            .or_else(|| same(self.sellers == other.sellers, "a seller"))
            .or_else(|| same(self.actors == other.actors, "an API key"))
            .or_else(|| same(self.once == other.once, "a credit request or a reversal"))
            .or_else(|| same(alike, "a phone"))
            .or_else(|| same(self.keys.is_like(&other.keys, self.records), "the idempotency keys"))
            .or_else(|| same(self.findings == other.findings, "the findings"))
    }
}

/// Puts parts together again.
pub struct AuditBuilder {
    audit: Audit,
    head: Head,
}

impl core::fmt::Debug for AuditBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AuditBuilder({:?})", self.head)
    }
}

impl AuditBuilder {
    /// From the first part.
    ///
    /// # Errors
    /// Where that is another one.
    pub fn new(first: AuditPart) -> Result<Self, ImageError> {
        let AuditPart(Inner::Head(head)) = first else { return Err(ImageError("an image begins with its head")) };
        let mut audit = Audit::new(head.seed);
        (audit.ledger, audit.epoch, audit.ids) = (head.ledger, head.epoch, IdSpace::new(head.ledger, head.epoch));
        for (epoch, first) in &head.later_epochs {
            audit.ids.begin_epoch(head.ledger, *epoch, *first);
        }
        (audit.later_epochs, audit.on_hold) = (head.later_epochs.clone(), head.on_hold);
        (audit.records, audit.time, audit.sums, audit.seller_total) =
            (head.records, head.time, head.sums, head.seller_total);
        audit.actors.set_rules(head.rules);
        audit.keys.resume(head.window_ms, head.marks.clone(), head.first_live);
        Ok(Self { audit, head: *head })
    }

    /// The next part.
    ///
    /// # Errors
    /// Where it does not fit those before.
    pub fn add(&mut self, part: AuditPart) -> Result<(), ImageError> {
        let audit = &mut self.audit;
        match part.0 {
            Inner::Head(_) => return Err(ImageError("an image has one head")),
            Inner::Sellers(sellers) => audit.sellers.extend(sellers),
            Inner::Actors(actors) => actors.into_iter().for_each(|actor| audit.actors.put(actor)),
            Inner::Suspended(sellers) => audit.actors.put_suspended(sellers),
            Inner::Requests(requests) => audit.once.put_requests(requests),
            Inner::Reversed(charges) => audit.once.put_reversed(charges),
            Inner::Phones(phones) => {
                for (phone, balance) in phones {
                    audit.phones.add(phone, balance);
                }
            }
            Inner::Ends(ends) => audit.actors.put_ends(ends),
            Inner::Policy(policy) => audit.actors.set_policy(policy),
            Inner::Filed(filed) => audit.actors.put_filed(filed),
            Inner::Keys(tables) => audit.keys.put_tables(&tables).map_err(ImageError)?,
        }
        Ok(())
    }

    /// How many records the audit has covered.
    pub fn records(&self) -> u64 {
        self.head.records
    }

    /// The audit. `mark` is what the history has before the page of the last record, and `open` the records of that page up to
    /// that one: so both chains come from the history as it is now, and have to come to what was audited.
    ///
    /// # Errors
    /// Where parts are missing, the balances in them do not have the sums of the head, or the history has other records.
    pub fn finish<'a>(self, mark: &PageMark, open: impl IntoIterator<Item = &'a Record>) -> Result<Audit, ImageError> {
        let Self { mut audit, head } = self;
        let entries = audit.resume_chains(mark, open);
        let chains = (audit.record_chain.digest(), audit.entry_chain.digest());
        if (chains, entries) != ((head.record_digest, head.entry_digest), head.sums.entries) {
            return Err(ImageError("the history has other records than were audited"));
        }
        if audit.counts() != head.counts {
            return Err(ImageError("accounts or keys are missing"));
        }
        let sellers = audit.sellers.values().fold(0_i128, |sum, books| sum.saturating_add(books.sum));
        if (sellers, audit.phones.total()) != (head.seller_total, head.phone_total) {
            return Err(ImageError("balances do not add up to their sums"));
        }
        Ok(audit)
    }
}

impl Audit {
    /// Both chains in the middle of a page; returns the number of its last entry.
    fn resume_chains<'a>(&mut self, mark: &PageMark, open: impl IntoIterator<Item = &'a Record>) -> u64 {
        let page = page_of(mark.first);
        self.record_chain = RecordChain::before_page(page, mark.record_digest);
        self.entry_chain = EntryChain::before_page(page, mark.entry_digest);
        let mut entries = mark.entries;
        for record in open {
            self.record_chain.push(self.ledger, record);
            self.chain_entry(record);
            entries = entries.saturating_add(u64::from(record.movement().is_some()));
        }
        entries
    }
}
