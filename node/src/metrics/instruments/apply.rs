//! Entries that this process applied, and what became of their commands. Every node applies every entry.

use std::time::Duration;

use ledger::{Event, Refusal};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::labelled::LabelledCounters;

/// The codes of refusals, as the API has them; [`refusal_index`] has the same order.
const REFUSALS: [&str; 8] = [
    "insufficient_credit",
    "seller_suspended",
    "credit_request_decided",
    "charge_reversed",
    "limit_exceeded",
    "name_taken",
    "last_admin_key",
    "address_taken",
];

fn refusal_index(refusal: Refusal) -> usize {
    match refusal {
        Refusal::InsufficientCredit { .. } => 0,
        Refusal::SellerSuspended => 1,
        Refusal::RequestDecided { .. } => 2,
        Refusal::ChargeReversed => 3,
        Refusal::LimitExceeded => 4,
        Refusal::NameTaken => 5,
        Refusal::LastAdminKey => 6,
        Refusal::AddressTaken => 7,
    }
}

/// What became of the commands of one entry, added up before it is counted at once.
#[derive(Debug, Default, Clone, Copy)]
pub struct EntryTally {
    charges: u64,
    approved: u64,
    replays: u64,
    refused: [u64; REFUSALS.len()],
}

impl EntryTally {
    /// A command made this event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Charged(_) => self.charges += 1,
            Event::CreditApproved(_) => self.approved += 1,
            Event::Refused(refused) => self.refusal(refused.refusal),
            Event::Genesis(_)
            | Event::SellerCreated(_)
            | Event::SellerStatusSet(_)
            | Event::KeyCreated(_)
            | Event::KeyRevoked(_)
            | Event::CreditRequested(_)
            | Event::CreditRejected(_)
            | Event::Adjusted(_)
            | Event::Reversed(_)
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
            | Event::CreditRequestedFor(_)
            | Event::PolicySet(_) => {}
        }
    }

    /// The state forbade a command.
    pub fn refusal(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.get_mut(refusal_index(refusal)) {
            *count += 1;
        }
    }

    /// A command was decided before, under its key.
    pub fn replay(&mut self) {
        self.replays += 1;
    }
}

/// What was applied. Clones share it.
#[derive(Debug, Clone)]
pub struct ApplyInstruments {
    seconds: Histogram,
    commands: Histogram,
    charges: Counter,
    approved: Counter,
    replays: Counter,
    refused: LabelledCounters<{ REFUSALS.len() }>,
}

impl Default for ApplyInstruments {
    fn default() -> Self {
        Self {
            // 10 us, a lone charge, to 1.3 s, far more than the 8,192 commands of the largest entry take.
            seconds: Histogram::new(exponential_buckets(0.000_01, 2.0, 18)),
            // 1 to 8,192, the most commands of an entry.
            commands: Histogram::new(exponential_buckets(1.0, 2.0, 14)),
            charges: Counter::default(),
            approved: Counter::default(),
            replays: Counter::default(),
            refused: LabelledCounters::new("code", REFUSALS),
        }
    }
}

impl ApplyInstruments {
    /// An entry with so many commands was decided and applied in that time.
    pub fn applied(&self, took: Duration, commands: usize, tally: &EntryTally) {
        self.seconds.observe(took.as_secs_f64());
        self.commands.observe(commands as f64);
        for (counter, count) in
            [(&self.charges, tally.charges), (&self.approved, tally.approved), (&self.replays, tally.replays)]
        {
            if count > 0 {
                counter.inc_by(count);
            }
        }
        for (index, count) in tally.refused.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.refused.add(index, *count);
        }
    }

    pub(in crate::metrics) fn register(&self, registry: &mut Registry) {
        let seconds = "How long one log entry took to be decided and applied, reads of old records included";
        registry.register("apply_duration_seconds", seconds, self.seconds.clone());
        registry.register("entry_commands", "Commands of each log entry that was applied", self.commands.clone());
        registry.register("charges_accepted", "Charges that were accepted", self.charges.clone());
        registry.register("credit_requests_approved", "Credit requests that were approved", self.approved.clone());
        let replays = "Commands that were decided before under their idempotency key, and got that answer again";
        registry.register("replays", replays, self.replays.clone());
        registry.register("refusals", "Commands that the state of the ledger forbade, by code", self.refused.clone());
    }
}

#[cfg(test)]
mod tests {
    use ledger::{Balance, Verdict};

    use super::*;

    #[test]
    fn each_refusal_is_counted_under_the_code_that_its_caller_gets() {
        let all = [
            (Refusal::InsufficientCredit { balance: Balance::ZERO }, etebar_api::Code::InsufficientCredit),
            (Refusal::SellerSuspended, etebar_api::Code::SellerSuspended),
            (Refusal::RequestDecided { verdict: Verdict::Approved }, etebar_api::Code::CreditRequestDecided),
            (Refusal::ChargeReversed, etebar_api::Code::ChargeReversed),
            (Refusal::LimitExceeded, etebar_api::Code::LimitExceeded),
            (Refusal::NameTaken, etebar_api::Code::NameTaken),
            (Refusal::LastAdminKey, etebar_api::Code::LastAdminKey),
            (Refusal::AddressTaken, etebar_api::Code::AddressTaken),
        ];
        for (refusal, code) in all {
            let named = serde_json::to_value(code).unwrap();
            assert_eq!(named, REFUSALS[refusal_index(refusal)]);
        }
    }
}
