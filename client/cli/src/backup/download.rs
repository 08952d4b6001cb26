//! `etebar backup FILE`: downloads a backup over all nodes, and goes on where an attempt, or an earlier run, was cut.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use etebar::api::BACKUP;
use etebar::{Call, Error, Meaning, Opened, Query};
use pages::backup::{BackupError, Continues, Head, Reader};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::files::{failed, open_chain, refused_file};
use super::part::{Found, Part, PartFile};
use super::verify::{self, Contents};
use super::work::blocking;
use crate::arguments::BackupDownload;
use crate::output::error::CliError;
use crate::output::{Output, count};
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
/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(5);

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

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Where it is to be; nothing is there.
    pub(super) file: PathBuf,
    /// The entry that it ends with; the newest unless given.
    pub(super) until: Option<u64>,
    /// The backups before it, in their order.
    pub(super) onto: Vec<PathBuf>,
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

impl Target {
    /// All files of the chain, in their order.
    fn all(&self) -> Vec<PathBuf> {
        [self.onto.clone(), vec![self.file.clone()]].concat()
    }

    fn check_free(&self) -> Result<(), CliError> {
        match std::fs::symlink_metadata(&self.file) {
            Ok(_) => Err(CliError::usage(format!(
                "{} is there already, and is not replaced: give another name",
                self.file.display()
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&self.file, &error)),
        }
    }

    /// Where nothing came, nothing is to be left.
    fn remove_empty_part(&self) {
        let part = self.part();
        if std::fs::metadata(&part).is_ok_and(|there| there.len() == 0) {
            // A file that stays is empty, and the next run begins in it.
            let _ = std::fs::remove_file(part);
        }
    }

    /// What has arrived, until it is whole.
    pub(super) fn part(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(".part");
        name.into()
    }
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
            let taken = taker.take(StreamReader { stream, piece: Bytes::new() });
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

/// How a stream ended for whoever takes it.
enum Taken {
    /// With the end of the backup.
    Whole,
    /// Before, for this reason; another node may go on.
    Cut(String),
}

/// Takes streams into the file, on a thread that may block.
struct Taker {
    until: Option<u64>,
    /// What the backups before it have.
    base: Option<Head>,
    part: Option<Part>,
    /// The file, before it has a head.
    empty: Option<PartFile>,
    output: Output,
    shown: Instant,
}

impl Taker {
    fn open(target: &Target, output: Output) -> Result<Taker, CliError> {
        let base = if target.onto.is_empty() { None } else { Some(open_chain(&target.onto)?.head().clone()) };
        let (part, empty) = match PartFile::open(&target.part())? {
            Found::Nothing(empty) => (None, Some(empty)),
            Found::Begun(part) => (Some(*part), None),
        };
        let taker = Taker { until: target.until, base, part, empty, output, shown: Instant::now() };
        if let Some(part) = &taker.part {
            let other = |why: String| CliError::Advised {
                text: format!("{} is of another backup: {why}", part.path().display()),
                hint: "delete it, or give another name".to_owned(),
                code: 1,
            };
            taker.check_head(part.head()).map_err(other)?;
            let (there, of) = (count(part.records()), count(part.head().records));
            output.progress(&format!("{there} of {of} records are there already"));
        }
        Ok(taker)
    }

    /// That a backup is the one that is asked for.
    fn check_head(&self, head: &Head) -> Result<(), String> {
        if self.until.is_some_and(|until| until != head.entries) {
            return Err(format!("it ends with entry {}", head.entries));
        }
        let Some(base) = &self.base else {
            return match head.continues {
                None => Ok(()),
                Some(Continues { records, .. }) => Err(format!("it is an increment after {records} records")),
            };
        };
        let due = (base.records > 0).then_some(Continues { records: base.records, digest: base.record_digest });
        if base.ledger != head.ledger {
            return Err(format!("it is of ledger {}, and the backup before it of {}", head.ledger, base.ledger));
        }
        if head.continues != due {
            return Err(
                "it does not go on where the backup before it ends, or the cluster has other records".to_owned()
            );
        }
        Ok(())
    }

    /// What to ask for now.
    fn call(&self) -> Call {
        let query = Query::new("/v1/backup");
        let query = if let Some(part) = &self.part {
            query.and("records", part.head().records).and("after", part.records())
        } else {
            let after = self.base.as_ref().map_or(0, |base| base.records);
            query.and_some("until", self.until).and("after", after)
        };
        Call::get(query.finish())
    }

    fn pages(&self) -> u64 {
        self.part.as_ref().map_or(0, |part| part.written().pages)
    }

    /// Takes one stream as far as it goes.
    fn take(&mut self, stream: impl Read) -> Result<Taken, CliError> {
        let (head, reader) = match Reader::open(stream) {
            Ok(opened) => opened,
            Err(error) => return unusable(&error),
        };
        if let Some(why) = self.begin(head)? {
            return Err(other_records(&why));
        }
        let Some(part) = &mut self.part else { return Err(CliError::local("there is no file: a defect")) };
        for page in reader {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    part.cut()?;
                    return unusable(&error);
                }
            };
            if let Err(error) = part.take(&page)? {
                part.cut()?;
                return unusable(&error);
            }
            if self.shown.elapsed() >= EVERY {
                self.shown = Instant::now();
                let (there, of) = (count(part.records()), count(part.head().records));
                self.output.progress(&format!("{there} of {of} records"));
            }
        }
        part.complete()?;
        Ok(Taken::Whole)
    }

    /// The stream's head is that of a new file, or fits the one that is there; otherwise why not.
    fn begin(&mut self, head: Head) -> Result<Option<String>, CliError> {
        if let Some(part) = &self.part {
            return Ok(part.check_stream(&head).err());
        }
        if let Err(why) = self.check_head(&head) {
            return Ok(Some(why));
        }
        let Some(empty) = self.empty.take() else { return Err(CliError::local("there is no file: a defect")) };
        self.part = Some(empty.begin(head)?);
        Ok(None)
    }
}

/// A stream that is no use from here on: another node may give a better one, where the build is not at fault.
fn unusable(error: &BackupError) -> Result<Taken, CliError> {
    match error {
        BackupError::Newer { .. } => Err(refused_file("the node's backup", error)),
        BackupError::Cut { .. }
        | BackupError::Altered { .. }
        | BackupError::Foreign
        | BackupError::Io(_)
        | BackupError::Elsewhere { .. }
        | BackupError::Unwritable { .. } => Ok(Taken::Cut(error.to_string())),
    }
}

fn other_records(why: &str) -> CliError {
    CliError::Advised {
        text: format!("the cluster's backup is another one: {why}"),
        hint: "begin a whole backup under another name; delete the .part file if it is of no more use".to_owned(),
        code: 1,
    }
}

/// The pieces of a stream as one reader; it ends where the stream was cut too.
struct StreamReader {
    stream: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for StreamReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.stream.blocking_recv() else { return Ok(0) };
            self.piece = piece;
        }
        let length = self.piece.len().min(into.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}
