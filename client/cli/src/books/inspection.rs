//! One inspection of the whole ledger while charges continue: bounds are taken first, then the journal is read up to them.
//!
//! Two audits stand around the list of sellers. So each listed balance must be the running balance at some entry between
//! the two, and both audits' sums must be the walk's sums at their own entry.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use etebar::api::{Audit, Code, CreditRequest, Entry, MAX_PAGE, RequestStatus};
use etebar::{Client, CreditRequestFilter, Error, Pager};

use super::nodes;
use super::promise::{Finding, Findings, Promise};
use super::stream::Journal;
use super::walk::{Credited, PhoneBooks, Sums, Walk, phone_digits};
use crate::output::error::CliError;

/// Phones that are read one by one, spread evenly; all others are covered by the audit's sum.
const PHONES_ASKED: usize = 1_000;
/// Credit requests that are read one by one: those that came while the books were read.
const REQUESTS_ASKED: usize = 1_000;
/// How often a newer position is taken where nodes no longer have the digest of the last one.
const DIGEST_TRIES: u32 = 5;

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
}

/// Checks every promise; `observe` sees each entry, in order.
pub(crate) async fn inspect(client: &Client, mut observe: impl FnMut(&Entry)) -> Result<Inspection, CliError> {
    let mut findings = Findings::default();
    let requests = all(client.credit_requests_list(CreditRequestFilter::default(), MAX_PAGE), Requested::of).await?;
    let before = client.audit().await?.value;
    let sellers = all(client.sellers_list(MAX_PAGE), |seller| (seller.id, seller.balance.minor())).await?;
    let bound = client.audit().await?.value;
    let (digest, nodes) = nodes_agree(client, &bound, &mut findings).await?;
    let ledger = client.cluster().await?.value.ledger_id.unwrap_or_default();

    let mut reading = Reading { walk: Walk::of(ledger), journal: Journal::open(client.clone()) };
    let mut listed: HashMap<Uuid, i128> = sellers.iter().copied().collect();
    reading.walk_to(before.entries, &mut findings, &mut observe).await?;
    reading.sums(&before, &mut findings);
    listed.retain(|seller, balance| reading.walk.sellers.get(seller).copied().unwrap_or(0) != *balance);
    while let Some(entry) = reading.step(bound.entries, &mut findings, &mut observe).await? {
        if listed.get(&entry.seller_id) == Some(&entry.balance.minor()) {
            listed.remove(&entry.seller_id);
        }
    }
    reading.sums(&bound, &mut findings);
    seller_balances(&sellers, &listed, &mut findings);
    reading.phones(client, &mut findings, &mut observe).await?;
    let mut credited = std::mem::take(&mut reading.walk.credited);
    listed_requests(&requests, &mut credited, &mut findings);
    later_requests(client, &credited, &mut findings).await?;
    Ok(Inspection {
        findings: findings.all(),
        entries: reading.walk.entries,
        applied: digest.0,
        digest: digest.1,
        nodes,
    })
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

/// Compares all nodes with the audit at its position, or with each other at a later one where its digest is no longer kept.
async fn nodes_agree(
    client: &Client,
    audit: &Audit,
    findings: &mut Findings,
) -> Result<((u64, String), usize), CliError> {
    let cluster = client.cluster().await?.value;
    let mut position = (audit.applied, audit.digest.clone());
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
struct Reading {
    walk: Walk,
    journal: Journal,
}

impl Reading {
    /// Takes the next of the first `bound` entries.
    async fn step(
        &mut self,
        bound: u64,
        findings: &mut Findings,
        observe: &mut impl FnMut(&Entry),
    ) -> Result<Option<Entry>, Error> {
        let entry = self.journal.next(bound).await?;
        if let Some(entry) = &entry {
            self.walk.take(entry, findings);
            observe(entry);
        }
        Ok(entry)
    }

    async fn walk_to(
        &mut self,
        bound: u64,
        findings: &mut Findings,
        observe: &mut impl FnMut(&Entry),
    ) -> Result<(), Error> {
        while self.step(bound, findings, observe).await?.is_some() {}
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
            ("entries", i128::from(walk.entries), i128::from(audit.entries)),
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
        let is_explained = audit.consistent || !audit.broken.is_empty();
        findings.check(Promise::OwnAudit, is_explained, || "it is inconsistent, and does not say why".to_owned());
        for broken in &audit.broken {
            findings.check(Promise::OwnAudit, false, || broken.to_string());
        }
    }

    /// Reads some phones. Those that moved since the walk are followed up to a later bound.
    async fn phones(
        &mut self,
        client: &Client,
        findings: &mut Findings,
        observe: &mut impl FnMut(&Entry),
    ) -> Result<(), CliError> {
        let step = self.walk.phones.len().div_ceil(PHONES_ASKED).max(1);
        let mut numbers: Vec<u64> = self.walk.phones.keys().copied().collect();
        numbers.sort_unstable();
        let mut moved = HashMap::new();
        for number in numbers.into_iter().step_by(step) {
            let stated = match client.phone(&format!("+{number}")).await {
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
        let bound = client.audit().await?.value.entries;
        while let Some(entry) = self.step(bound, findings, observe).await? {
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

/// `unmatched` are the listed balances that no entry between the bounds shows.
fn seller_balances(sellers: &[(Uuid, i128)], unmatched: &HashMap<Uuid, i128>, findings: &mut Findings) {
    for (seller, balance) in sellers {
        findings.check(Promise::SellerBalances, !unmatched.contains_key(seller), || {
            format!("seller {seller} is listed with {balance}, which its entries do not show")
        });
    }
}

/// Every request that was approved when they were listed is credited as it was asked; every rejected one is not. Those
/// pending then may have been approved since. The rest of `credited` is of no request that was listed.
fn listed_requests(requests: &[Requested], credited: &mut HashMap<Uuid, Credited>, findings: &mut Findings) {
    for Requested { id, asked, status } in requests {
        let credited = credited.remove(id);
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
