//! `etebar backup s3://BUCKET/PREFIX`: a backup in S3-compatible storage, which `latest` names once it was read back whole; and
//! `etebar backup fetch`, the way back.
//!
//! A run is a row of steps, each of which a later run finds done or does again: the backup is downloaded and verified in a
//! folder ([`folder`]), uploaded and read back ([`upload`]), named by its `.chain` and then by `latest` ([`manifest`]), and noted
//! in the ledger. So whatever a run that is cut leaves, `latest` names nothing that is not whole.
//!
//! [`place`] has the names of objects, [`store`] the requests over [`wire`], [`refusal`] why one failed, [`fetch`] the downloads.

mod fetch;
mod folder;
mod manifest;
mod place;
mod refusal;
mod store;
mod upload;
mod wire;

use std::time::Instant;

use bytes::Bytes;
use pages::backup::Head;
use serde::Serialize;

use self::folder::{Folder, Goal, fingerprint};
use self::manifest::{CHAIN_MAX, Manifest};
use self::place::{LATEST, Place};
use self::store::Store;
use self::upload::{Source, Uploaded};
use super::download::{self, Target};
use super::files::open_chain;
use super::verify;
use super::work::blocking;
use crate::arguments::{BackupDownload, BackupFetch};
use crate::output::count;
use crate::output::error::CliError;
use crate::session::Session;

/// What `--json` prints.
#[derive(Serialize)]
struct Done {
    /// The object.
    object: String,
    /// What names it.
    latest: String,
    /// All objects that a restore takes, in this order.
    chain: Vec<String>,
    /// Bytes of the object.
    object_bytes: u64,
    /// After how many records it goes on; 0 for a whole backup.
    after: u64,
    parts_sent: u64,
    /// Parts that an earlier run had sent.
    parts_there: u64,
    total_seconds: f64,
    #[serde(flatten)]
    verified: verify::Report,
}

pub(super) async fn fetch(session: &Session, asked: BackupFetch) -> Result<(), CliError> {
    fetch::run(session, asked).await
}

pub(super) async fn backup(session: &Session, place: &str, asked: BackupDownload) -> Result<(), CliError> {
    let begun = Instant::now();
    let place = Place::parse(place)?;
    let is_onto = is_onto_latest(&asked)?;
    let store = Store::new(&asked.storage, &place)?;
    let latest = fetch::read_manifest(&store, &place, None).await?.map(|(_, manifest)| manifest);
    let onto = if is_onto { Some(latest.as_ref().ok_or_else(|| fetch::none(&place, None))?) } else { None };
    if onto.is_some_and(|onto| onto.chain.len() >= CHAIN_MAX) {
        let text = format!("`latest` stands on {CHAIN_MAX} objects already");
        return Err(CliError::Advised { text, hint: "make a whole backup: leave --onto out".to_owned(), code: 1 });
    }
    let mut folder = Folder::open(&asked.work)?;
    prepare(session, &store, &place, &mut folder, onto).await?;
    let (head, verified) = match make(session, &store, &place, &folder, onto).await {
        Err(CliError::Damaged(why)) => {
            // The next run makes it anew, where one that breaks a promise stays to be looked at.
            folder.discard()?;
            return Err(CliError::Damaged(why));
        }
        made => made?,
    };
    verify::conclude(&verified)?;
    check_ledger(&place, latest.as_ref(), &head)?;
    let next = folder.next();
    let print = blocking(move |_| fingerprint(&next)).await?;
    let manifest = Manifest::of(&head, &print, onto);
    let (file, name) = (folder.next(), manifest.object().as_str().to_owned());
    let source = Source { file: &file, print: &print, key: place.key(&name), part_bytes: asked.storage.part_size };
    session.output.progress(&format!("{}: {} bytes are uploaded now", place.shown(&name), count(print.bytes)));
    let uploaded = upload::upload(&store, &mut folder, &source, session.output).await?;
    upload::check(&store, &source, session.output).await?;
    name_it(&store, &place, &manifest).await?;
    folder.finish(&manifest)?;
    download::note(session, &head).await;
    let done = done(&place, &manifest, &head, &uploaded, begun, verified);
    session.output.either(&done, || shown(&done))
}

/// Whether the backup is an increment; options that are of files alone are refused.
fn is_onto_latest(asked: &BackupDownload) -> Result<bool, CliError> {
    if asked.no_verify {
        return Err(CliError::usage("--no-verify is of a file alone: what `latest` names was verified"));
    }
    if asked.until.is_some() {
        return Err(CliError::usage("--until is of a file alone: `latest` only goes forward"));
    }
    match asked.onto.as_slice() {
        [] => Ok(false),
        [word] if word.as_os_str() == LATEST => Ok(true),
        _ => Err(CliError::usage("of s3://… it is `--onto latest`: the storage knows which objects that are")),
    }
}

/// Goes on with what an earlier run left of the same backup, or begins.
async fn prepare(
    session: &Session,
    store: &Store,
    place: &Place,
    folder: &mut Folder,
    onto: Option<&Manifest>,
) -> Result<(), CliError> {
    let goal = Goal {
        storage: store.shown.clone(),
        place: place.to_string(),
        onto: onto.map(|manifest| manifest.object().clone()),
    };
    if folder.goes_on_with(&goal) {
        session.output.progress("an earlier run was cut; its work is gone on with");
        return Ok(());
    }
    let left = folder.under_way.take();
    if let Some(left) = left.filter(|left| left.goal.storage == goal.storage && left.goal.place == goal.place)
        && let Some(upload) = left.upload
    {
        // Where it stays, the bucket's rule for unfinished uploads removes it.
        upload::abort(store, &upload).await;
    }
    folder.begin(goal)?;
    folder.keep(onto)
}

/// The backup in the folder, downloaded where it is not there yet, and what is found of it with all that it stands on.
async fn make(
    session: &Session,
    store: &Store,
    place: &Place,
    folder: &Folder,
    onto: Option<&Manifest>,
) -> Result<(Head, verify::Report), CliError> {
    let onto = match onto {
        Some(onto) => fetch::chain(store, place, onto, folder.path(), session.output).await?,
        None => Vec::new(),
    };
    let files = [onto.clone(), vec![folder.next()]].concat();
    if !folder.next().exists() {
        download::to_file(session, &Target { file: folder.next(), until: None, onto }).await?;
    }
    let head = open_chain(&files)?.head().clone();
    session.output.progress("the backup is in the work folder; it is verified now");
    Ok((head, verify::with_progress(session.output, files).await?))
}

/// That the place is not that of another ledger, whose `latest` would be lost.
fn check_ledger(place: &Place, latest: Option<&Manifest>, head: &Head) -> Result<(), CliError> {
    match latest.filter(|latest| latest.ledger_id != head.ledger) {
        Some(latest) => {
            let text =
                format!("{place} has backups of ledger {}, and this is ledger {}", latest.ledger_id, head.ledger);
            Err(CliError::Advised { text, hint: "give this ledger a prefix of its own".to_owned(), code: 1 })
        }
        None => Ok(()),
    }
}

/// Writes what the backup stands on, then moves `latest`; both were read back when this returns.
async fn name_it(store: &Store, place: &Place, manifest: &Manifest) -> Result<(), CliError> {
    if let Some((_, there)) = fetch::read_manifest(store, place, None).await?
        && there.is_beyond(manifest)
    {
        let text = format!("another run has moved `latest` to {} meanwhile", place.shown(there.object().as_str()));
        let hint = "nothing is left to do: that backup is newer than this one".to_owned();
        return Err(CliError::Advised { text, hint, code: 1 });
    }
    let text = Bytes::from(manifest.text()?);
    for name in [manifest.object().chain(), LATEST.to_owned()] {
        let key = place.key(&name);
        store.put(&key, &text).await?;
        if store.small(&key).await?.as_ref() != Some(&text) {
            return Err(CliError::local(format!(
                "{} is not what was written: does another run write it?",
                place.shown(&name)
            )));
        }
    }
    Ok(())
}

fn done(
    place: &Place,
    manifest: &Manifest,
    head: &Head,
    uploaded: &Uploaded,
    begun: Instant,
    verified: verify::Report,
) -> Done {
    Done {
        object: place.shown(manifest.object().as_str()),
        latest: place.shown(LATEST),
        chain: manifest.chain.iter().map(|link| place.shown(link.object.as_str())).collect(),
        object_bytes: manifest.chain.last().map_or(0, |link| link.bytes),
        after: head.continues.map_or(0, |continues| continues.records),
        parts_sent: uploaded.sent,
        parts_there: uploaded.there,
        total_seconds: begun.elapsed().as_secs_f64(),
        verified,
    }
}

fn shown(done: &Done) -> String {
    let increment = match done.after {
        0 => String::new(),
        after => format!("\nan increment after {} records; a restore takes {} objects", count(after), done.chain.len()),
    };
    format!(
        "{}: {} bytes in {:.1} s, read back\n{} names it{increment}\n{}",
        done.object,
        count(done.object_bytes),
        done.total_seconds,
        done.latest,
        verify::shown(&done.verified)
    )
}
