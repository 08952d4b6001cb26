//! The lists that records are found by, and which record is in which.
//!
//! Lists: a seller's journal entries; a seller's credit requests, and all of them; acts; each 64th charge of a phone. The charges
//! between those name the one before, so a phone's charges cost no key each: a phone that is charged once, as most are between
//! two checkpoints, would cost a key of 30 bytes and 6.5 microseconds of sled.

use ledger::{
    Adjusted, Charged, CreditApproved, CreditRequested, CreditRequestedFor, Event, Phone, Record, RecordNumber,
    Reversed,
};

use crate::storage::format::keys;

/// Charges of a phone from one that is in its list to the next. Source: a page of 100 charges then reads fewer than 200
/// records that it does not show, and a key costs each charge a tenth of a microsecond.
pub(crate) const ANCHOR_EVERY: usize = 64;

/// One list: what kind it is, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct List(u64);

/// The byte of the kind is above these.
const OWNER_BITS: u32 = 56;

impl List {
    /// The journal entries of a seller.
    pub(crate) fn entries_of(seller: RecordNumber) -> Self {
        Self::new(keys::ENTRIES, seller)
    }

    /// The credit requests of a seller.
    pub(crate) fn requests_of(seller: RecordNumber) -> Self {
        Self::new(keys::REQUESTS, seller)
    }

    /// All credit requests. No seller has the number 0.
    pub(crate) fn all_requests() -> Self {
        Self::new(keys::REQUESTS, 0)
    }

    /// Each 64th charge of a phone.
    pub(crate) fn anchors_of(phone: Phone) -> Self {
        Self::new(keys::ANCHORS, phone.digits())
    }

    /// All administrative acts.
    pub(crate) fn acts() -> Self {
        Self::new(keys::ACTS, 0)
    }

    fn new(kind: u8, owner: u64) -> Self {
        // Source: a record of 50 bytes for each number below that would be 3.6 exabytes; a phone has 15 digits at most.
        assert!(owner >> OWNER_BITS == 0, "a record or a phone has fewer than 2^56 numbers below it");
        Self(u64::from(kind) << OWNER_BITS | owner)
    }

    /// The key of its block that begins with the record `first`.
    pub(crate) fn key(self, first: RecordNumber) -> Vec<u8> {
        let [kind, ..] = self.0.to_be_bytes();
        keys::listed(kind, self.0 & ((1 << OWNER_BITS) - 1), first)
    }

    /// How it is called in messages.
    pub(crate) fn place(self) -> String {
        let [kind, ..] = self.0.to_be_bytes();
        let owner = self.0 & ((1 << OWNER_BITS) - 1);
        match kind {
            keys::ENTRIES => format!("the list of the entries of seller {owner}"),
            keys::REQUESTS => format!("the list of the credit requests of seller {owner}"),
            keys::ACTS => "the list of acts".into(),
            // A phone's number is nobody's business in a log.
            _ => format!("the list of the charges of the phone ending in {:04}", owner % 10_000),
        }
    }
}

/// The lists to which `record` is added.
pub(crate) fn lists_of(record: &Record, mut add: impl FnMut(List)) {
    if record.is_act() {
        add(List::acts());
    }
    match &record.event {
        Event::Charged(Charged { seller, phone, phone_charge, .. }) => {
            add(List::entries_of(*seller));
            if phone_charge.is_multiple_of(ANCHOR_EVERY as u64) {
                add(List::anchors_of(*phone));
            }
        }
        Event::CreditApproved(CreditApproved { request, .. }) => add(List::entries_of(request.seller)),
        Event::Adjusted(Adjusted { seller, .. }) | Event::Reversed(Reversed { seller, .. }) => {
            add(List::entries_of(*seller));
        }
        Event::CreditRequested(CreditRequested { seller, .. })
        | Event::CreditRequestedFor(CreditRequestedFor { request: CreditRequested { seller, .. } }) => {
            add(List::requests_of(*seller));
            add(List::all_requests());
        }
        Event::Genesis(_)
        | Event::SellerCreated(_)
        | Event::SellerStatusSet(_)
        | Event::KeyCreated(_)
        | Event::KeyRevoked(_)
        | Event::CreditRejected(_)
        | Event::Refused(_)
        | Event::NodeRegistered(_)
        | Event::RulesRaised(_)
        | Event::NodeAdded(_)
        | Event::NodePromoted(_)
        | Event::NodeRemoved(_)
        | Event::EpochBegun(_)
        | Event::LedgerOpened(_)
        | Event::BackupNoted(_)
        | Event::ExpiringKeyCreated(_)
        | Event::KeyRotated(_)
        | Event::PolicySet(_) => {}
    }
}
