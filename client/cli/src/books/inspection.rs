//! One inspection of the ledger while charges continue: bounds are taken first, then the journal is read up to them, from its
//! first entry on or from one that is trusted.
//!
//! The newest entry is asked for before and after the list of sellers. So each listed balance must be the running balance at some
//! entry between the two. The node's own audit is awaited at the end: its sums must be the walk's at the audit's last entry.

use std::collections::HashMap;

use ledger::{Digest, page_of};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use uuid::Uuid;

use etebar::api::{Audit, ChargeRead, Code, CreditRequest, Entry, MAX_PAGE, RequestStatus};
use etebar::{Client, CreditRequestFilter, Error, Pager};

use super::audit;
use super::chain::{TrustedEntry, phone_digits};
use super::nodes;
use super::progress::InspectionBar;
use super::promise::{Finding, Findings, Promise};
use super::stream::Journal;
use super::walk::{Credited, PhoneBooks, Sums, Undone, Walk};
use crate::output::Output;
use crate::output::error::CliError;

/// Phones that are read one by one, spread evenly; all others are covered by the audit's sum.
const PHONES_ASKED: usize = 1_000;
/// Credit requests that are read one by one: those that came while the books were read.
const REQUESTS_ASKED: usize = 1_000;
/// How often a newer position is taken where nodes no longer have the digest of the last one.
const DIGEST_TRIES: u32 = 5;
/// Reversals that wait until their charges are read.
const REVERSALS_WAITING: usize = 64;
/// Charges read at a time, at most.
const CHARGES_AT_ONCE: usize = 8;

/// The result of an inspection.
pub(crate) struct Inspection {
    pub(crate) findings: Vec<Finding>,
    /// How many entries were checked.
    pub(crate) entries: u64,
    /// Position and digest at which the nodes were compared.
    pub(crate) applied: u64,
    pub(crate) digest: String,
    /// How many nodes were compared.
    pub(crate) nodes: usize,
    /// Where a later check can go on.
    pub(crate) resumable: Option<TrustedEntry>,
}

/// What is inspected, and who sees it.
pub(crate) struct Scope<'a, F> {
    pub(crate) client: &'a Client,
    /// After which entry; `None` for the whole journal.
    pub(crate) after: Option<TrustedEntry>,
    pub(crate) output: Output,
    /// Sees each entry, in order.
    pub(crate) observe: F,
}

/// Checks every promise, as far as the scope shows it.
pub(crate) async fn inspect<F: FnMut(&Entry)>(scope: Scope<'_, F>) -> Result<Inspection, CliError> {
    let Scope { client, after, output, observe } = scope;
    let mut findings = Findings::default();
    let first = after.map_or(0, |after| after.entry);
    let requests = all(client.credit_requests_list(CreditRequestFilter::default(), MAX_PAGE), Requested::of).await?;
    let before = client.audit(None).await?.value.head;
    if before < first {
        return Err(CliError::usage(format!("--from {first} is after the newest entry, which is {before}")));
    }
    if let Some(after) = after {
        can_go_on(client, after, &mut findings).await?;
    }
    let sellers = all(client.sellers_list(MAX_PAGE), |seller| (seller.id, seller.balance.minor())).await?;
    let bound = client.audit(None).await?.value.head;
    let ledger = client.cluster().await?.value.ledger_id.unwrap_or_default();

    let (walk, journal) = (Walk::after(ledger, after), Journal::open(client.clone(), first));
    let progress = InspectionBar::after(first, output);
    let mut reading = Reading { client, walk, journal, is_whole: after.is_none(), observe, progress };
    reading.sellers(&sellers, (before, bound), &mut findings).await?;
    let (digest, nodes) = reading.audit(&mut findings).await?;
    reading.phones(&mut findings).await?;
    reading.ask_for_charges(&mut findings).await?;
    let mut credited = std::mem::take(&mut reading.walk.credited);
    listed_requests(&requests, &mut credited, reading.is_whole, &mut findings);
    later_requests(client, &credited, &mut findings).await?;
    Ok(Inspection {
        findings: findings.all(),
        entries: reading.walk.taken,
        applied: digest.0,
        digest: digest.1,
        nodes,
        resumable: reading.walk.chain.resumable(),
    })
}

/// Whether the check can go on after an entry: where it is the last one of its page of records. Where nothing comes after it, its
/// digest alone is compared.
async fn can_go_on(client: &Client, after: TrustedEntry, findings: &mut Findings) -> Result<(), CliError> {
    let page = client.journal_from(after.entry, 2).next_page().await?;
    let entries = page.map(|page| page.value.items).unwrap_or_default();
    match &entries[..] {
        [entry, next, ..] if page_of(entry.record) == page_of(next.record) => Err(CliError::usage(format!(
            "a check cannot go on after entry {}: the digests of the entries around it are chained together; use the entry and \
             the digest that an earlier check printed to go on from",
            after.entry
        ))),
        [entry] => {
            let is_it = Digest::from_hex(&entry.digest) == Some(after.digest);
            findings.check(Promise::DigestChain, is_it, || {
                format!("entry {}: the journal has {}, not {}", entry.entry, entry.digest, after.digest)
            });
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What is needed of each item of a list, so that no more of it stays in memory.
async fn all<T: DeserializeOwned, U>(mut pager: Pager<T>, needed: fn(&T) -> U) -> Result<Vec<U>, Error> {
    let mut items = Vec::new();
    while let Some(page) = pager.next_page().await? {
        items.extend(page.value.items.iter().map(needed));
    }
    Ok(items)
}

/// A credit request as it was listed.
struct Requested {
    id: Uuid,
    asked: Credited,
    status: RequestStatus,
}

impl Requested {
    fn of(request: &CreditRequest) -> Requested {
        let asked = Credited { seller: request.seller_id, amount: request.amount.minor() };
        Requested { id: request.id, asked, status: request.status }
    }
}

/// Compares all nodes at one position: that of the audit, or a later one where its digest is no longer kept.
async fn nodes_agree(
    client: &Client,
    audit: Option<&Audit>,
    findings: &mut Findings,
) -> Result<((u64, String), usize), CliError> {
    let cluster = client.cluster().await?.value;
    let mut position = if let Some(audit) = audit {
        (audit.applied, audit.digest.clone())
    } else {
        let now = client.digest(None).await?.value;
        (now.applied, now.digest)
    };
    let mut found = nodes::digests(client, &cluster, position.0).await?;
    for _ in 1..DIGEST_TRIES {
        if !found.iter().any(|node| node.too_old) {
            break;
        }
        let now = client.digest(None).await?.value;
        position = (now.applied, now.digest);
        found = nodes::digests(client, &cluster, position.0).await?;
    }
    for node in &found {
        match (&node.digest, &node.error) {
            (Some(digest), _) => findings.check(Promise::NodesAgree, *digest == position.1, || {
                format!("at {} node {} has {digest}, the ledger {}", position.0, node.id, position.1)
            }),
            (None, error) => {
                let why = error.as_deref().unwrap_or("no digest");
                findings.unproven(Promise::NodesAgree, format!("node {}: {why}", node.id));
            }
        }
    }
    Ok((position, found.len()))
}

/// The journal as far as it was read.
struct Reading<'a, F> {
    client: &'a Client,
    walk: Walk,
    journal: Journal,
    is_whole: bool,
    observe: F,
    progress: InspectionBar,
}

impl<F: FnMut(&Entry)> Reading<'_, F> {
    /// Takes the next entry up to entry `bound`.
    async fn step(&mut self, bound: u64, findings: &mut Findings) -> Result<Option<Entry>, CliError> {
        let entry = self.journal.next(bound).await?;
        if let Some(entry) = &entry {
            self.walk.take(entry, findings);
            (self.observe)(entry);
            self.progress.at(entry.entry);
            if self.walk.undone.len() >= REVERSALS_WAITING {
                self.ask_for_charges(findings).await?;
            }
        }
        Ok(entry)
    }

    async fn walk_to(&mut self, bound: u64, findings: &mut Findings) -> Result<(), CliError> {
        self.progress.goes_to(bound);
        while self.step(bound, findings).await?.is_some() {}
        Ok(())
    }

    /// Each listed balance is the running balance at some entry between the two bounds. Of a seller without any entry since one that is
    /// trusted, nothing can be said.
    async fn sellers(
        &mut self,
        listed: &[(Uuid, i128)],
        (before, bound): (u64, u64),
        findings: &mut Findings,
    ) -> Result<(), CliError> {
        self.walk_to(before, findings).await?;
        let mut unmatched: HashMap<Uuid, i128> = listed.iter().copied().collect();
        let nothing = self.is_whole.then_some(0);
        unmatched.retain(|seller, balance| self.walk.sellers.get(seller).copied().or(nothing) != Some(*balance));
        self.progress.goes_to(bound);
        while let Some(entry) = self.step(bound, findings).await? {
            let stated = entry.balance.minor();
            let is_listed = |balance: &i128| [stated, stated.saturating_sub(entry.amount.minor())].contains(balance);
            if unmatched.get(&entry.seller_id).is_some_and(is_listed) {
                unmatched.remove(&entry.seller_id);
            }
        }
        for (seller, balance) in
            listed.iter().filter(|(seller, _)| self.is_whole || self.walk.sellers.contains_key(seller))
        {
            findings.check(Promise::SellerBalances, !unmatched.contains_key(seller), || {
                format!("seller {seller} is listed with {balance}, which its entries do not show")
            });
        }
        Ok(())
    }

    /// The node's own audit, once it covers all that was read; and the nodes, compared at its position.
    async fn audit(&mut self, findings: &mut Findings) -> Result<((u64, String), usize), CliError> {
        let audit = match audit::covering(self.client, self.walk.entry).await {
            Ok(audit) => Some(audit),
            Err(error) => {
                findings.unproven(Promise::SumsEqual, format!("no audit covers entry {}: {error}", self.walk.entry));
                findings.unproven(Promise::OwnAudit, error.to_string());
                None
            }
        };
        if let Some(audit) = &audit {
            self.walk_to(audit.entries, findings).await?;
            own_audit(audit, findings);
            if self.is_whole {
                self.sums(audit, findings);
            } else {
                findings.not_checked(Promise::SumsEqual, "it needs the journal from its first entry on");
            }
        }
        nodes_agree(self.client, audit.as_ref(), findings).await
    }

    /// Reads the charges of the reversals that were taken, a few at a time: each was there before, as it was undone, and no other
    /// reversal undid it.
    async fn ask_for_charges(&mut self, findings: &mut Findings) -> Result<(), CliError> {
        let mut waiting = std::mem::take(&mut self.walk.undone).into_iter();
        let (mut asked, mut answers) = (JoinSet::new(), Vec::new());
        loop {
            for undone in waiting.by_ref().take(CHARGES_AT_ONCE.saturating_sub(asked.len())) {
                let client = self.client.clone();
                asked.spawn(async move { (client.charge_read(undone.charge).await, undone) });
            }
            let Some(joined) = asked.join_next().await else { break };
            let Ok((answer, undone)) = joined else { continue };
            let charge = match answer {
                Ok(charge) => Some(charge.value),
                Err(Error::Refused(problem)) if problem.code == Code::NotFound => None,
                Err(error) => return Err(error.into()),
            };
            answers.push((undone, charge));
        }
        answers.sort_unstable_by_key(|(undone, _)| undone.at);
        for (undone, charge) in answers {
            let fault = fault_of(&undone, charge.as_ref());
            findings.check(Promise::ReversalsOnce, fault.is_none(), || {
                let Undone { at, charge, .. } = undone;
                format!("entry {at} undoes charge {charge}: {}", fault.unwrap_or_default())
            });
        }
        Ok(())
    }

    /// Compares an audit with the walk, which has taken the audit's last entry.
    fn sums(&self, audit: &Audit, findings: &mut Findings) {
        let walk = &self.walk;
        let audited = Sums {
            credits: audit.credits.minor(),
            adjustments: audit.adjustments.minor(),
            charges: audit.charges.minor(),
            reversals: audit.reversals.minor(),
        };
        let sum = |sum: i128, balance: i128| sum.saturating_add(balance);
        let sellers = walk.sellers.values().copied().fold(0, sum);
        let phones = walk.phones.values().map(|phone| phone.balance).fold(0, sum);
        let pairs = [
            ("entries", i128::from(walk.entry), i128::from(audit.entries)),
            ("credits", walk.sums.credits, audited.credits),
            ("adjustments", walk.sums.adjustments, audited.adjustments),
            ("charges", walk.sums.charges, audited.charges),
            ("reversals", walk.sums.reversals, audited.reversals),
            ("seller balances", sellers, audit.seller_balances.minor()),
            ("phone balances", phones, audit.phone_balances.minor()),
            ("treasury", walk.treasury, audit.treasury.minor()),
            ("all accounts", sum(sum(sellers, phones), walk.treasury), 0),
        ];
        for (name, own, audited) in pairs {
            findings.check(Promise::SumsEqual, own == audited, || {
                format!("{name} at entry {}: the journal has {own}, the audit {audited}", audit.entries)
            });
        }
    }

    /// Reads some phones. Those that moved since the walk are followed up to a later bound.
    async fn phones(&mut self, findings: &mut Findings) -> Result<(), CliError> {
        if !self.is_whole {
            findings.not_checked(Promise::PhoneBalances, "it needs the journal from its first entry on");
            return Ok(());
        }
        let step = self.walk.phones.len().div_ceil(PHONES_ASKED).max(1);
        let mut numbers: Vec<u64> = self.walk.phones.keys().copied().collect();
        numbers.sort_unstable();
        let mut moved = HashMap::new();
        for number in numbers.into_iter().step_by(step) {
            let stated = match self.client.phone(&format!("+{number}")).await {
                Ok(phone) => PhoneBooks { balance: phone.value.balance.minor(), charges: phone.value.charges },
                Err(Error::Refused(problem)) if problem.code == Code::NotFound => PhoneBooks::default(),
                Err(error) => return Err(error.into()),
            };
            if self.walk.phones.get(&number) == Some(&stated) {
                findings.check(Promise::PhoneBalances, true, String::new);
            } else {
                moved.insert(number, stated);
            }
        }
        if moved.is_empty() {
            return Ok(());
        }
        let bound = self.client.audit(None).await?.value.head;
        while let Some(entry) = self.step(bound, findings).await? {
            let Some(number) = entry.phone.as_deref().and_then(phone_digits) else { continue };
            if moved.get(&number) == self.walk.phones.get(&number) && moved.remove(&number).is_some() {
                findings.check(Promise::PhoneBalances, true, String::new);
            }
        }
        for (number, stated) in moved {
            let books = self.walk.phones.get(&number).copied().unwrap_or_default();
            findings.check(Promise::PhoneBalances, false, || {
                format!("a phone ending in {:04} has {stated:?}, the journal {books:?}", number % 10_000)
            });
        }
        Ok(())
    }
}

/// What the node itself found.
fn own_audit(audit: &Audit, findings: &mut Findings) {
    let is_explained = audit.consistent || !audit.broken.is_empty();
    findings.check(Promise::OwnAudit, is_explained, || "it is inconsistent, and does not say why".to_owned());
    for broken in &audit.broken {
        findings.check(Promise::OwnAudit, false, || broken.to_string());
    }
}

/// What is wrong with a reversal, by the charge that it undoes.
fn fault_of(undone: &Undone, charge: Option<&ChargeRead>) -> Option<&'static str> {
    let Some(ChargeRead { charge, reversed_by }) = charge else { return Some("there is no such charge before it") };
    let is_it = (charge.seller_id, Some(&charge.phone)) == (undone.seller, undone.phone.as_ref());
    if charge.entry >= undone.at {
        Some("there is no such charge before it")
    } else if !is_it || charge.amount.minor() != undone.amount {
        Some("it was of another seller, phone or amount")
    } else if *reversed_by != Some(undone.at) {
        Some("the charge is shown as reversed by another entry")
    } else {
        None
    }
}

/// Every request that was approved when they were listed is credited as it was asked; every rejected one is not. Those
/// pending then may have been approved since. The rest of `credited` is of no request that was listed. Where not the whole journal
/// was read, a request that it does not credit may have been credited before.
fn listed_requests(
    requests: &[Requested],
    credited: &mut HashMap<Uuid, Credited>,
    is_whole: bool,
    findings: &mut Findings,
) {
    for Requested { id, asked, status } in requests {
        let credited = credited.remove(id);
        if credited.is_none() && !is_whole {
            continue;
        }
        let fits = match status {
            RequestStatus::Approved => credited == Some(*asked),
            RequestStatus::Rejected => credited.is_none(),
            RequestStatus::Pending => credited.is_none_or(|credited| credited == *asked),
        };
        findings.check(Promise::RequestsOnce, fits, || {
            let by = asked.seller;
            format!("request {id} of {} by seller {by} is {status:?}, the journal has {credited:?}", asked.amount)
        });
    }
}

/// Credits of requests that were not listed are of such as came after: each is read, up to a bound.
async fn later_requests(
    client: &Client,
    credited: &HashMap<Uuid, Credited>,
    findings: &mut Findings,
) -> Result<(), CliError> {
    for (id, credited) in credited.iter().take(REQUESTS_ASKED) {
        let fits = match client.credit_request(*id).await {
            Ok(request) => {
                let Requested { asked, status, .. } = Requested::of(&request.value);
                status == RequestStatus::Approved && asked == *credited
            }
            Err(Error::Refused(problem)) if problem.code == Code::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        findings.check(Promise::RequestsOnce, fits, || format!("no request {id} accounts for {credited:?}"));
    }
    if credited.len() > REQUESTS_ASKED {
        findings.unproven(Promise::RequestsOnce, format!("{} requests came meanwhile", credited.len()));
    }
    Ok(())
}
