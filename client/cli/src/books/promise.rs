//! What the ledger promises, and what was found of each promise.

use std::collections::BTreeMap;

use serde::Serialize;

/// A promise that can be checked from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Promise {
    Numbered,
    DigestChain,
    RunningBalances,
    NeverNegative,
    DoubleEntry,
    RequestsOnce,
    ChargesOnce,
    ReversalsOnce,
    SumsEqual,
    SellerBalances,
    PhoneBalances,
    #[serde(rename = "members_agree")]
    NodesAgree,
    OwnAudit,
}

impl Promise {
    pub(crate) const ALL: [Promise; 13] = [
        Promise::Numbered,
        Promise::DigestChain,
        Promise::RunningBalances,
        Promise::NeverNegative,
        Promise::DoubleEntry,
        Promise::RequestsOnce,
        Promise::ChargesOnce,
        Promise::ReversalsOnce,
        Promise::SumsEqual,
        Promise::SellerBalances,
        Promise::PhoneBalances,
        Promise::NodesAgree,
        Promise::OwnAudit,
    ];

    /// The promise as a sentence.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Promise::Numbered => "entries are numbered without gaps, in order of time",
            Promise::DigestChain => "the digests chain all entries",
            Promise::RunningBalances => "each entry's balance is the one before plus its amount",
            Promise::NeverNegative => "no seller is below zero at any entry",
            Promise::DoubleEntry => "each entry moves one amount between two fitting accounts",
            Promise::RequestsOnce => {
                "a credit request is credited once, as it was asked, if approved, and never otherwise"
            }
            Promise::ChargesOnce => "a charge is in the journal once",
            Promise::ReversalsOnce => "a charge is reversed at most once, and whole",
            Promise::SumsEqual => "the audit's sums are those of the journal",
            Promise::SellerBalances => "each seller's balance is the sum of its entries",
            Promise::PhoneBalances => "each phone's balance is the sum of its entries",
            Promise::NodesAgree => "all nodes have one digest at one position",
            Promise::OwnAudit => "the node's own audit, which sees more than the journal, finds nothing broken",
        }
    }
}

/// What was found of one promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Kept,
    Broken,
    /// It could not be checked, or not in whole.
    Unproven,
    /// Nobody asked for it: it needs the journal from its first entry on.
    NotChecked,
}

/// A promise, what was found, and of how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) promise: Promise,
    pub(crate) verdict: Verdict,
    /// How many things were looked at.
    pub(crate) checked: u64,
    /// How many of them break it.
    pub(crate) faults: u64,
    /// The first fault, or why it is unproven.
    pub(crate) detail: Option<String>,
}

/// Collects faults, and how much was checked, by promise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    by_promise: BTreeMap<Promise, Counted>,
}

#[derive(Debug, Clone, Default)]
struct Counted {
    checked: u64,
    faults: u64,
    first: Option<String>,
    unproven: Option<String>,
    not_checked: Option<String>,
}

impl Findings {
    /// Looks at one thing; where it does not hold, `fault` says what is wrong.
    pub(crate) fn check(&mut self, promise: Promise, holds: bool, fault: impl FnOnce() -> String) {
        let counted = self.by_promise.entry(promise).or_default();
        counted.checked += 1;
        if !holds {
            counted.faults += 1;
            counted.first.get_or_insert_with(fault);
        }
    }

    /// Something could not be looked at.
    pub(crate) fn unproven(&mut self, promise: Promise, why: impl Into<String>) {
        self.by_promise.entry(promise).or_default().unproven.get_or_insert(why.into());
    }

    /// It is not looked at, since what is checked does not show it.
    pub(crate) fn not_checked(&mut self, promise: Promise, why: impl Into<String>) {
        self.by_promise.entry(promise).or_default().not_checked.get_or_insert(why.into());
    }

    /// One finding a promise. A promise of which nothing was looked at is kept: an empty ledger breaks none.
    pub(crate) fn all(&self) -> Vec<Finding> {
        let of = |promise: Promise| {
            let counted = self.by_promise.get(&promise).cloned().unwrap_or_default();
            let Counted { checked, faults, first, unproven, not_checked } = counted;
            let verdict = match (faults, &unproven, &not_checked) {
                (1.., _, _) => Verdict::Broken,
                (0, Some(_), _) => Verdict::Unproven,
                (0, None, Some(_)) => Verdict::NotChecked,
                (0, None, None) => Verdict::Kept,
            };
            Finding { promise, verdict, checked, faults, detail: first.or(unproven).or(not_checked) }
        };
        Promise::ALL.into_iter().map(of).collect()
    }
}

/// The worst of all; what nobody asked for is none of it.
pub(crate) fn worst(findings: &[Finding]) -> Verdict {
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    if any(Verdict::Broken) {
        Verdict::Broken
    } else if any(Verdict::Unproven) {
        Verdict::Unproven
    } else {
        Verdict::Kept
    }
}
