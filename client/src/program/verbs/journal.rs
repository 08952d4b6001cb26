//! `etebar statement`, `journal`, `reconcile`, `phone`, `audit`.

use crate::api::{Audit, Entry, EntryKind, Reconciliation};
use crate::client::Answer;

use super::super::arguments::{Listing, OneSeller, Statement};
use super::super::output::{count, grouped, or_dash, sheet};
use super::super::stop::Stop;
use super::{Session, print_list, replay_note};

const HEAD: [&str; 8] = [">entry", "created at", "kind", "seller", ">amount", ">balance", "phone", "actor"];

pub(super) async fn statement(session: &Session, verb: Statement) -> Result<(), Stop> {
    let seller = own_id(session, &verb.seller).await?;
    let pager = session.client.entries_list(seller, verb.span.into(), verb.listing.page());
    print_list(session, pager, &verb.listing, &HEAD, row).await
}

pub(super) async fn journal(session: &Session, listing: Listing) -> Result<(), Stop> {
    print_list(session, session.client.journal(listing.page()), &listing, &HEAD, row).await
}

pub(super) async fn reconcile(session: &Session, seller: OneSeller) -> Result<(), Stop> {
    let seller = own_id(session, &seller).await?;
    let books = session.client.reconciliation(seller).await?.value;
    session.output.either(&books, || reconciliation(&books))?;
    consistent(books.consistent, "the seller's balance is not the sum of its entries")
}

pub(super) async fn phone(session: &Session, number: &str) -> Result<(), Stop> {
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

pub(super) async fn audit(session: &Session) -> Result<(), Stop> {
    let audit = session.client.audit().await?.value;
    session.output.either(&audit, || audited(&audit))?;
    consistent(audit.consistent, "the ledger's balances are not the sums of its entries")
}

/// One entry that an answer brought.
pub(super) fn print_entry(session: &Session, answer: &Answer<Entry>) -> Result<(), Stop> {
    let entry = &answer.value;
    session.output.either(entry, || {
        let pairs = [
            ("entry", entry.entry.to_string()),
            ("created at", entry.created_at.to_string()),
            ("kind", kind(entry.kind).to_owned()),
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
    })
}

/// The id of the seller named, or of the key's own.
async fn own_id(session: &Session, seller: &OneSeller) -> Result<uuid::Uuid, Stop> {
    match seller.id.0 {
        Some(id) => Ok(id),
        None => Ok(session.client.seller(None).await?.value.id),
    }
}

fn consistent(consistent: bool, otherwise: &str) -> Result<(), Stop> {
    if consistent { Ok(()) } else { Err(Stop::Broken(otherwise.to_owned())) }
}

fn row(entry: &Entry) -> Vec<String> {
    vec![
        entry.entry.to_string(),
        entry.created_at.to_string(),
        kind(entry.kind).to_owned(),
        entry.seller_id.to_string(),
        grouped(entry.amount),
        grouped(entry.balance),
        or_dash(entry.phone.as_ref()),
        entry.actor.clone(),
    ]
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Credit => "credit",
        EntryKind::Adjustment => "adjustment",
        EntryKind::Charge => "charge",
        EntryKind::Reversal => "reversal",
    }
}

fn reconciliation(books: &Reconciliation) -> String {
    sheet(&[
        ("seller", books.seller_id.to_string()),
        ("credits", grouped(books.credits)),
        ("adjustments", grouped(books.adjustments)),
        ("charges", grouped(books.charges)),
        ("reversals", grouped(books.reversals)),
        ("sum", grouped(books.sum)),
        ("balance", grouped(books.balance)),
        ("entries", count(books.entries)),
        ("consistent", yes_or_no(books.consistent).to_owned()),
    ])
}

fn audited(audit: &Audit) -> String {
    sheet(&[
        ("entries", count(audit.entries)),
        ("sellers", count(audit.sellers)),
        ("credits", grouped(audit.credits)),
        ("adjustments", grouped(audit.adjustments)),
        ("charges", grouped(audit.charges)),
        ("reversals", grouped(audit.reversals)),
        ("seller balances", grouped(audit.seller_balances)),
        ("phone balances", grouped(audit.phone_balances)),
        ("treasury", grouped(audit.treasury)),
        ("consistent", yes_or_no(audit.consistent).to_owned()),
        ("applied", audit.applied.to_string()),
        ("digest", audit.digest.clone()),
    ])
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "NO" }
}
