//! `etebar backup FILE`: downloads a backup over all nodes, and goes on where an attempt, or an earlier run, was cut. What
//! arrives is taken by [`taker`].

mod taker;

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use etebar::api::BACKUP;
use etebar::{Call, Error, Meaning, Opened};
use pages::backup::Head;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

pub(super) use self::taker::Target;
use self::taker::{Taken, Taker};
use super::part::Part;
use super::verify::{self, Contents};
use super::work::blocking;
use crate::arguments::BackupDownload;
use crate::output::count;
use crate::output::error::CliError;
use crate::session::Session;

/// Longest wait for an answer to begin. Source: a node's own limit of 10 s, and two seconds for the network.
const OPEN_WAIT: Duration = Duration::from_secs(12);
/// Longest silence of a node that sends.
const SILENCE: Duration = Duration::from_secs(15);
/// How long attempts go on that bring no page. Source: twice what a node waits for a caller that is gone, whose place it keeps.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pauses between two attempts: the first, doubled up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Pieces of a stream that may wait to be written: half a megabyte or so.
const WAITING: usize = 8;
/// What `--json` prints.
#[derive(Serialize)]
struct Done<'a> {
    file: &'a Path,
    #[serde(flatten)]
    contents: Contents,
    /// After how many records it goes on; 0 for a whole backup.
    after: u64,
    /// Streams that brought pages.
    streams: u32,
    seconds: f64,
    /// `null` where `--no-verify` was given.
    verified: Option<verify::Report>,
}

pub(super) async fn run(session: &Session, asked: BackupDownload) -> Result<(), CliError> {
    let begun = Instant::now();
    let BackupDownload { file, until, onto, no_verify, work: _, storage: _ } = asked;
    // clap asks for it.
    let file = file.ok_or_else(|| CliError::usage("name the file that the backup is to be in"))?;
    let target = Target { file, until, onto };
    let Downloaded { head, bytes, streams } = to_file(session, &target).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let verified = if no_verify {
        None
    } else {
        session.output.progress(&format!("{} is there; it is verified now", target.file.display()));
        Some(verify::with_progress(session.output, target.all()).await?)
    };
    let after = head.continues.map_or(0, |continues| continues.records);
    let done = Done { file: &target.file, contents: Contents::of(&head, bytes), after, streams, seconds, verified };
    let printed = session.output.either(&done, || shown(&done));
    if let Some(report) = &done.verified {
        verify::conclude(report)?;
        note(session, &head).await;
    }
    printed
}

/// Downloads a backup whole, syncs it, and gives it its name.
pub(super) async fn to_file(session: &Session, target: &Target) -> Result<Downloaded, CliError> {
    target.check_free()?;
    let (output, asked) = (session.output, target.clone());
    let taker = blocking(move |_| Taker::open(&asked, output)).await?;
    let downloaded = download(session, taker).await;
    if downloaded.is_err() {
        target.remove_empty_part();
    }
    let (part, streams) = downloaded?;
    let (head, bytes) = (part.head().clone(), part.written().bytes);
    let to = target.file.clone();
    blocking(move |_| part.finish(&to)).await?;
    Ok(Downloaded { head, bytes, streams })
}

/// Has the ledger note that a backup is verified, so that every node knows how old the last one is. A ledger under rules of an older
/// build does not take it, which is no fault of the backup.
pub(super) async fn note(session: &Session, head: &Head) {
    if let Err(error) = session.client.note_backup(head.records, &head.record_digest.to_string()).await {
        session.output.progress(&format!("the backup is whole and verified; the ledger did not note it: {error}"));
    }
}

fn shown(done: &Done<'_>) -> String {
    let got =
        format!("{}: {} bytes of pages in {:.1} s", done.file.display(), count(done.contents.bytes()), done.seconds);
    let increment = match done.after {
        0 => String::new(),
        after => format!("\nan increment after {} records: keep the backups before it", count(after)),
    };
    match &done.verified {
        Some(report) => format!("{got}{increment}\n{}", verify::shown(report)),
        None => format!("{got}{increment}\n{}\nnot verified", done.contents.shown()),
    }
}

/// What was downloaded.
#[derive(Debug)]
pub(super) struct Downloaded {
    pub(super) head: Head,
    /// Bytes of the pages.
    pub(super) bytes: u64,
    /// Streams that brought pages.
    pub(super) streams: u32,
}

/// Attempts over all nodes until the backup is whole. Returns how many streams brought pages.
async fn download(session: &Session, mut taker: Taker) -> Result<(Part, u32), CliError> {
    let (mut streams, mut pause, mut last) = (0, PAUSES.0, Instant::now());
    let (mut turn, mut attempts) = (0_usize, 0_u32);
    loop {
        if let Some(part) = taker.part.take_if(|part| part.is_whole()) {
            return Ok((part, streams));
        }
        let (call, before) = (taker.call(), taker.pages());
        let (sender, stream) = mpsc::channel(WAITING);
        let taking = tokio::task::spawn_blocking(move || {
            let taken = taker.take(stream);
            (taker, taken)
        });
        let sent = send(session, turn, &call, sender).await;
        attempts += 1;
        let (back, taken) =
            taking.await.map_err(|error| CliError::local(format!("the download did not finish: {error}")))?;
        taker = back;
        let cut = match (taken?, sent) {
            (Taken::Whole, _) => None,
            (Taken::Cut(_), Sent::Refused(error)) => return Err(error),
            (Taken::Cut(_), Sent::NotNow(why)) | (Taken::Cut(why), Sent::All) => Some(why),
        };
        if taker.pages() > before {
            (streams, pause, last) = (streams + 1, PAUSES.0, Instant::now());
        }
        let Some(why) = cut else { continue };
        if last.elapsed() > PATIENCE {
            return Err(given_up(&taker, attempts, &why));
        }
        session.output.progress(&format!("the download was cut: {why}; another node is asked"));
        sleep(pause).await;
        (pause, turn) = ((pause * 2).min(PAUSES.1), turn.wrapping_add(1));
    }
}

fn given_up(taker: &Taker, attempts: u32, why: &str) -> CliError {
    let hint = match &taker.part {
        Some(part) => format!("{} stays: the same command goes on where it was cut", part.path().display()),
        None => "is the cluster up? `etebar cluster status` shows its nodes".to_owned(),
    };
    let text = format!("no node sent more within {} s ({attempts} attempts): {why}", PATIENCE.as_secs());
    CliError::Advised { text, hint, code: 3 }
}

/// How a request ended.
enum Sent {
    /// All that the node sent was handed on, or nobody takes more.
    All,
    /// It broke, or the node does not send it now.
    NotNow(String),
    /// Permanently refused.
    Refused(CliError),
}

/// Asks one node, and hands on what it sends.
async fn send(session: &Session, turn: usize, call: &Call, to: mpsc::Sender<Bytes>) -> Sent {
    let mut stream = match session.client.open_download(turn, call, BACKUP, OPEN_WAIT).await {
        Ok(Opened::Stream(stream)) => stream,
        Ok(Opened::Answer(Meaning::Refused(problem))) => return Sent::Refused(Error::Refused(problem).into()),
        Ok(Opened::Answer(Meaning::NotYet(reason) | Meaning::Unknown(reason))) => return Sent::NotNow(reason.detail),
        Ok(Opened::Answer(Meaning::Done(()))) => {
            return Sent::NotNow("the answer is not what was asked for".to_owned());
        }
        Err(failure) => return Sent::NotNow(failure.to_string()),
    };
    loop {
        match stream.next(SILENCE).await {
            Ok(Some(bytes)) => {
                if to.send(bytes).await.is_err() {
                    return Sent::All;
                }
            }
            Ok(None) => return Sent::All,
            Err(failure) => return Sent::NotNow(failure.to_string()),
        }
    }
}
