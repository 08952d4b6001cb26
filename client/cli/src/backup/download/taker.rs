//! Takes the streams of nodes into the file, on a thread that may block: checks of each that it is of the backup that is asked
//! for, and goes on with the records that are there.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use etebar::{Call, Query};
use pages::backup::{BackupError, Continues, Head, Reader};
use tokio::sync::mpsc;

use crate::backup::files::{failed, open_chain, refused_file};
use crate::backup::part::{Found, Part, PartFile};
use crate::output::error::CliError;
use crate::output::{Output, count};

/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Debug, Clone)]
pub(in crate::backup) struct Target {
    /// Where it is to be; nothing is there.
    pub(in crate::backup) file: PathBuf,
    /// The entry that it ends with; the newest unless given.
    pub(in crate::backup) until: Option<u64>,
    /// The backups before it, in their order.
    pub(in crate::backup) onto: Vec<PathBuf>,
}

impl Target {
    /// All files of the chain, in their order.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        [self.onto.clone(), vec![self.file.clone()]].concat()
    }

    pub(super) fn check_free(&self) -> Result<(), CliError> {
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
    pub(super) fn remove_empty_part(&self) {
        let part = self.part();
        if std::fs::metadata(&part).is_ok_and(|there| there.len() == 0) {
            // A file that stays is empty, and the next run begins in it.
            let _ = std::fs::remove_file(part);
        }
    }

    /// What has arrived, until it is whole.
    pub(in crate::backup) fn part(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(".part");
        name.into()
    }
}

/// How a stream ended for whoever takes it.
pub(super) enum Taken {
    /// With the end of the backup.
    Whole,
    /// Before, for this reason; another node may go on.
    Cut(String),
}

/// See the head of this file.
pub(super) struct Taker {
    until: Option<u64>,
    /// What the backups before it have.
    base: Option<Head>,
    pub(super) part: Option<Part>,
    /// The file, before it has a head.
    empty: Option<PartFile>,
    output: Output,
    shown: Instant,
}

impl Taker {
    pub(super) fn open(target: &Target, output: Output) -> Result<Taker, CliError> {
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
    pub(super) fn call(&self) -> Call {
        let query = Query::new("/v1/backup");
        let query = if let Some(part) = &self.part {
            query.and("records", part.head().records).and("after", part.records())
        } else {
            let after = self.base.as_ref().map_or(0, |base| base.records);
            query.and_some("until", self.until).and("after", after)
        };
        Call::get(query.finish())
    }

    pub(super) fn pages(&self) -> u64 {
        self.part.as_ref().map_or(0, |part| part.written().pages)
    }

    /// Takes one stream as far as it goes.
    pub(super) fn take(&mut self, stream: mpsc::Receiver<Bytes>) -> Result<Taken, CliError> {
        let (head, reader) = match Reader::open(StreamReader { stream, piece: Bytes::new() }) {
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
