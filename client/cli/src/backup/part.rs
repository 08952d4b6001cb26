//! A backup while it is downloaded: `FILE.part`, of whole and checked frames but for its end. It grows over attempts and over
//! runs of the program, and becomes `FILE` once it is whole.
//!
//! Invariant: each page that is written follows from those before it, by the chain over records.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ledger::{Digest, PAGE_RECORDS, RecordChain};
use pages::backup::{BackupError, BackupPage, Continues, Head, Progress, Reader, Writer};
use pages::page::{self, Page};

use super::files::{BUFFER_BYTES, failed};
use crate::output::error::CliError;
use crate::output::whole_file::folder_of;

/// For its owner's eyes alone: it has every phone number.
const PRIVATE: u32 = 0o600;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    head: Head,
    writer: Writer<BufWriter<File>>,
    check: ChainCheck,
    is_whole: bool,
}

/// What was found of an earlier run.
pub(super) enum Found {
    /// Nothing, or not even a head.
    Nothing(PartFile),
    /// Some of it, or all.
    Begun(Box<Part>),
}

/// The file without a head, locked against other processes.
#[derive(Debug)]
pub(super) struct PartFile {
    path: PathBuf,
    file: File,
}

impl PartFile {
    /// Opens `FILE.part`, or makes it, and reads what is there.
    pub(super) fn open(path: &Path) -> Result<Found, CliError> {
        let failed = |error| failed(path, &error);
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(PRIVATE).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CliError::local(format!("{}: another process writes it", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        PartFile { path: path.to_owned(), file }.read()
    }

    fn read(self) -> Result<Found, CliError> {
        let reading = self.file.try_clone().map_err(|error| failed(&self.path, &error))?;
        let (head, mut reader) = match Reader::open(BufReader::with_capacity(BUFFER_BYTES, reading)) {
            Ok(opened) => opened,
            // The first bytes were not all written.
            Err(BackupError::Cut { .. }) => return Ok(Found::Nothing(self)),
            Err(error) => return Err(self.spoiled(&error)),
        };
        let mut check = ChainCheck::of(&head);
        let is_whole = loop {
            match reader.next() {
                None => break true,
                Some(Err(BackupError::Cut { .. })) => break false,
                Some(page) => {
                    let taken = page.and_then(|page| check.take(&head, &page).map(drop));
                    taken.map_err(|error| self.spoiled(&error))?;
                }
            }
        };
        let (offset, written) = (reader.offset(), reader.progress());
        if is_whole {
            check.end(&head).map_err(|error| self.spoiled(&error))?;
        }
        Part::after(self, head, (offset, written), check, is_whole).map(|part| Found::Begun(Box::new(part)))
    }

    /// Begins a backup in place of what is there.
    pub(super) fn begin(mut self, head: Head) -> Result<Part, CliError> {
        let begun = self.file.set_len(0).and_then(|()| self.file.rewind());
        begun.map_err(|error| failed(&self.path, &error))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, self.file);
        let writer = Writer::begin(out, head.clone()).map_err(|error| unwritten(&self.path, &error))?;
        let check = ChainCheck::of(&head);
        Ok(Part { path: self.path, head, writer, check, is_whole: false })
    }

    fn spoiled(&self, error: &BackupError) -> CliError {
        CliError::Advised {
            text: format!("{}: {error}", self.path.display()),
            hint: "it is of no use: delete it, and start again".to_owned(),
            code: 1,
        }
    }
}

impl Part {
    fn after(
        PartFile { path, mut file }: PartFile,
        head: Head,
        (offset, written): (u64, Progress),
        check: ChainCheck,
        is_whole: bool,
    ) -> Result<Part, CliError> {
        // A torn frame at the end is cut off.
        let placed = file.set_len(offset).and_then(|()| file.seek(SeekFrom::Start(offset)));
        placed.map_err(|error| failed(&path, &error))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut part = Part { path, writer: Writer::resume(out, head.clone(), written), head, check, is_whole };
        part.complete_where_all_is_there()?;
        Ok(part)
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether all pages and the end are there.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Pages, and their bytes.
    pub(super) fn written(&self) -> Progress {
        self.writer.written()
    }

    /// How many records are there, those of the backups before it included; they end a page, but for the last ones.
    pub(super) fn records(&self) -> u64 {
        let from = self.head.continues.map_or(0, |continues| continues.records);
        match self.written().pages {
            0 => from,
            pages => ((self.head.first_page + pages) * PAGE_RECORDS).min(self.head.records),
        }
    }

    /// That a stream goes on with these very records.
    pub(super) fn check_stream(&self, stream: &Head) -> Result<(), String> {
        let same = |head: &Head| (head.ledger, head.records, head.entries, head.record_digest, head.entry_digest);
        if same(&self.head) != same(stream) {
            return Err(format!("the first {} records of the cluster are others", self.head.records));
        }
        let due = self.head.first_page + self.written().pages;
        if stream.first_page != due {
            return Err(format!("the node sent page {} where page {due} is due", stream.first_page));
        }
        Ok(())
    }

    /// Checks a page, and writes it.
    ///
    /// # Errors
    /// The outer one is final: the file could not be written. The inner one is the page's.
    pub(super) fn take(&mut self, page: &BackupPage) -> Result<Result<(), BackupError>, CliError> {
        if let Err(error) = self.check.take(&self.head, page) {
            return Ok(Err(error));
        }
        self.writer.page(page.number, &page.bytes).map_err(|error| unwritten(&self.path, &error))?;
        Ok(Ok(()))
    }

    /// A stream ended: writes what is held back, so that a later run finds it, and the end where no page is missing.
    pub(super) fn cut(&mut self) -> Result<(), CliError> {
        self.complete_where_all_is_there()?;
        io::Write::flush(self.writer.out()).map_err(|error| failed(&self.path, &error))
    }

    fn complete_where_all_is_there(&mut self) -> Result<(), CliError> {
        let due = self.head.pages();
        let is_due = !self.is_whole && self.written().pages == due.end - due.start && self.written().pages > 0;
        if is_due { self.complete() } else { Ok(()) }
    }

    /// Writes the end, after the last page.
    pub(super) fn complete(&mut self) -> Result<(), CliError> {
        self.check.end(&self.head).map_err(|error| unwritten(&self.path, &error))?;
        self.writer.finish().map_err(|error| unwritten(&self.path, &error))?;
        self.is_whole = true;
        Ok(())
    }

    /// Makes a whole file durable, and puts it in its place, where nothing may be.
    pub(super) fn finish(self, to: &Path) -> Result<(), CliError> {
        let Part { path, .. } = self;
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed(&path, &error))?;
        match std::fs::hard_link(&path, to) {
            Ok(()) => std::fs::remove_file(&path).map_err(|error| failed(&path, &error))?,
            // A file system without links. A rename would replace what is there.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !to.exists() => {
                std::fs::rename(&path, to).map_err(|error| failed(to, &error))?;
            }
            Err(error) => return Err(failed(to, &error)),
        }
        File::open(folder_of(to)).and_then(|folder| folder.sync_all()).map_err(|error| failed(to, &error))
    }
}

fn unwritten(path: &Path, error: &BackupError) -> CliError {
    CliError::local(format!("{}: {error}", path.display()))
}

/// The chain over records, from page to page.
#[derive(Debug)]
struct ChainCheck {
    chain: Option<RecordChain>,
    continues: Option<Continues>,
}

impl ChainCheck {
    fn of(head: &Head) -> ChainCheck {
        ChainCheck { chain: None, continues: head.continues }
    }

    /// The next page, decoded.
    fn take(&mut self, head: &Head, raw: &BackupPage) -> Result<Page, BackupError> {
        let page = head.decode(raw)?;
        let altered = |reason: &str| BackupError::Altered { place: page::place(raw.number), reason: reason.to_owned() };
        let before = page.mark.record_digest;
        let due = match (&self.chain, self.continues) {
            (Some(chain), _) => Some(chain.digest()),
            (None, None) => Some(Digest::ZERO),
            // An increment begins with a page of which the backup before it has all, or some, or nothing yet.
            (None, Some(Continues { records, digest })) => (records + 1 == page.mark.first).then_some(digest),
        };
        if due.is_some_and(|due| due != before) {
            return Err(altered("it does not follow the records before it: the digests differ"));
        }
        let chain = self.chain.get_or_insert_with(|| RecordChain::before_page(raw.number, before));
        for record in &page.records {
            chain.push(head.ledger, record);
            let differs =
                |Continues { records, digest }: Continues| records == record.number && digest != chain.digest();
            if self.continues.is_some_and(differs) {
                return Err(altered("it has other records than the backup before it"));
            }
        }
        Ok(page)
    }

    /// After the last page.
    fn end(&self, head: &Head) -> Result<(), BackupError> {
        let digest = match (&self.chain, self.continues) {
            (Some(chain), _) => chain.digest(),
            (None, Some(continues)) => continues.digest,
            (None, None) => Digest::ZERO,
        };
        if digest == head.record_digest {
            return Ok(());
        }
        let reason = "the records chain to another digest".to_owned();
        Err(BackupError::Altered { place: "the head".to_owned(), reason })
    }
}
