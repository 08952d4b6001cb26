//! `etebar statement`, `journal`, `reconcile`, `phone`, `audit`.

use etebar::Answer;
use etebar::api::{Audit, Entry, MAX_PAGE, Reconciliation};

use crate::arguments::{Journal, OneSeller, Statement};
use crate::lists::{self, Listed};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::{entry_kind, replay_note};
use crate::output::{count, grouped, money, or_dash, sheet, yes_or_no};
use crate::session::Session;

pub(crate) async fn statement(session: &Session, verb: Statement) -> Result<(), CliError> {
    let span = verb.span.span()?;
    let seller = own_id(session, &verb.seller).await?;
    lists::print(session, session.client.entries_list(seller, span, MAX_PAGE), &verb.listing).await
}

pub(crate) async fn journal(session: &Session, verb: Journal) -> Result<(), CliError> {
    lists::print(session, session.client.journal_within(verb.span.span()?, MAX_PAGE), &verb.listing).await
}

pub(crate) async fn reconcile(session: &Session, seller: OneSeller) -> Result<(), CliError> {
    let seller = own_id(session, &seller).await?;
    let books = session.client.reconciliation(seller).await?.value;
    let printed = session.output.either(&books, || reconciliation(&books));
    consistent(books.consistent, "the seller's balance is not the sum of its entries")?;
    printed
}

pub(crate) async fn phone(session: &Session, number: &str) -> Result<(), CliError> {
    let phone = session.client.phone(number).await?.value;
    session.output.either(&phone, || {
        sheet(&[
            ("phone", phone.phone.clone()),
            ("balance", grouped(phone.balance)),
            ("charges", count(phone.charges)),
            ("last charge at", phone.last_charge_at.to_string()),
        ])
    })
}

pub(crate) async fn audit(session: &Session) -> Result<(), CliError> {
    let audit = session.client.audit(None).await?.value;
    let printed = session.output.either(&audit, || audited(&audit));
    let first = audit.broken.first().map(ToString::to_string);
    consistent(
        audit.consistent && first.is_none(),
        first.as_deref().unwrap_or("the ledger's balances are not the sums of its entries"),
    )?;
    printed
}

/// The entry that a write made.
pub(crate) fn report_entry(
    session: &Session,
    answer: &Answer<Entry>,
    done: impl FnOnce() -> Done,
) -> Result<(), CliError> {
    let entry = &answer.value;
    let text = || {
        let pairs = [
            ("entry", entry.entry.to_string()),
            ("created at", entry.created_at.to_string()),
            ("kind", entry_kind(entry.kind).to_owned()),
            ("seller", entry.seller_id.to_string()),
            ("amount", grouped(entry.amount)),
            ("balance", grouped(entry.balance)),
            ("debit", entry.debit.clone()),
            ("credit", entry.credit.clone()),
            ("reference", entry.reference.to_string()),
            ("actor", entry.actor.clone()),
            ("digest", entry.digest.clone()),
        ];
        format!("{}{}", sheet(&pairs), replay_note(answer.replayed))
    };
    session.report(entry, text, done)
}

/// The id of the seller named, or of the key's own.
async fn own_id(session: &Session, seller: &OneSeller) -> Result<uuid::Uuid, CliError> {
    match seller.id.0 {
        Some(id) => Ok(id),
        None => Ok(session.client.seller(None).await?.value.id),
    }
}

fn consistent(consistent: bool, otherwise: &str) -> Result<(), CliError> {
    if consistent { Ok(()) } else { Err(CliError::Broken(otherwise.to_owned())) }
}

impl Listed for Entry {
    const HEAD: &'static [&'static str] =
        &[">entry", "created at", "kind", "seller", ">amount", ">balance", "phone", "actor"];
    const COLUMNS: &'static [&'static str] = &[
        "entry",
        "created_at",
        "kind",
        "seller_id",
        "amount",
        "balance",
        "debit",
        "credit",
        "reference",
        "phone",
        "actor",
        "caller_reference",
        "record",
        "digest",
    ];

    fn row(&self) -> Vec<Cell> {
        vec![
            self.entry.to_string().into(),
            self.created_at.to_string().into(),
            entry_kind(self.kind).into(),
            self.seller_id.to_string().into(),
            money(self.amount),
            money(self.balance),
            or_dash(self.phone.as_ref()).into(),
            self.actor.clone().into(),
        ]
    }
}

fn reconciliation(books: &Reconciliation) -> String {
    sheet(&[
        ("seller", books.seller_id.to_string().into()),
        ("credits", money(books.credits)),
        ("adjustments", money(books.adjustments)),
        ("charges", money(books.charges)),
        ("reversals", money(books.reversals)),
        ("sum", money(books.sum)),
        ("balance", money(books.balance)),
        ("entries", count(books.entries).into()),
        ("consistent", yes_or_no(books.consistent)),
    ])
}

fn audited(audit: &Audit) -> String {
    let mut pairs = vec![
        ("entries", count(audit.entries).into()),
        ("newest entry", count(audit.head).into()),
        ("sellers", count(audit.sellers).into()),
        ("credits", money(audit.credits)),
        ("adjustments", money(audit.adjustments)),
        ("charges", money(audit.charges)),
        ("reversals", money(audit.reversals)),
        ("seller balances", money(audit.seller_balances)),
        ("phone balances", money(audit.phone_balances)),
        ("treasury", money(audit.treasury)),
        ("consistent", yes_or_no(audit.consistent)),
        ("applied", audit.applied.to_string().into()),
        ("digest", audit.digest.clone().into()),
    ];
    pairs.extend(
        audit.broken.iter().map(|broken| ("broken", Cell::bad(&format!("{broken} ({} in all)", broken.faults)))),
    );
    sheet(&pairs)
}
