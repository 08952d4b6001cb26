//! The resume file: the state of each line, written to the disk before it is acted on.
//!
//! A first record fixes every line's key; then a record before each batch is sent (synced) and one for each line that is
//! answered. The state is the replay of the records. The last one may be torn, since a process may end in the middle
//! of it; any other damage is refused.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use etebar::api::Seller;

use super::input::{Input, InputLine};
use super::paths::{self, Paths, failed};
use super::record::{Event, Header, LineState, SentAt, VERSION, framed, unframed};
use crate::output::error::{CliError, WRONG_USAGE};
use crate::output::whole_file::WholeFile;

/// An open resume file. While it is open, no other process can open it.
#[derive(Debug)]
pub(crate) struct Resume {
    file: File,
    path: PathBuf,
    pub(crate) header: Header,
    /// The lines' numbers in the input; the state of each is at the same index.
    numbers: Vec<u64>,
    known: Vec<LineState>,
    closed: bool,
}

impl Resume {
    /// Opens what an earlier run left; `None` where there was none.
    pub(crate) fn open(paths: &Paths, input: &Input) -> Result<Option<Resume>, CliError> {
        let path = &paths.resume;
        let opened = File::options().read(true).write(true).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return no_result(paths).map(|()| None),
            Err(error) => return Err(failed(path)(error)),
        };
        lock(&file, paths)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed(path))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut records = bytes[..whole].split_inclusive(|byte| *byte == b'\n');
        let header: Header = records.next().and_then(unframed).ok_or_else(|| damaged(paths, 1))?;
        check_header(paths, input, &header)?;
        let mut resume = Resume::new(file, paths, header, input);
        for (index, record) in records.enumerate() {
            let applied = unframed::<Event>(record).and_then(|event| resume.apply(&event));
            applied.ok_or_else(|| damaged(paths, index + 2))?;
        }
        // A torn record is removed, so that the next one begins a line.
        resume.file.set_len(whole as u64).map_err(failed(path))?;
        resume.file.seek(SeekFrom::End(0)).map_err(failed(path))?;
        Ok(Some(resume))
    }

    /// Makes it and puts it in its place, synced.
    pub(crate) fn create(paths: &Paths, header: Header, input: &Input) -> Result<Resume, CliError> {
        let path = &paths.resume;
        let mut file = WholeFile::private(path).map_err(failed(path))?;
        lock(file.file(), paths)?;
        file.write_all(framed(&header).as_bytes()).map_err(failed(path))?;
        let file = match file.put_where_none_is() {
            Ok(file) => file,
            // Another run was quicker.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(in_use(paths)),
            Err(error) => return Err(failed(path)(error)),
        };
        Ok(Resume::new(file, paths, header, input))
    }

    fn new(file: File, paths: &Paths, header: Header, input: &Input) -> Resume {
        let numbers: Vec<u64> = input.lines.iter().map(|line| line.number).collect();
        let known = vec![LineState::NotSent; numbers.len()];
        Resume { file, path: paths.resume.clone(), header, numbers, known, closed: false }
    }

    /// The same, where it is this seller's.
    pub(crate) fn of_seller(self, seller: &Seller) -> Result<Resume, CliError> {
        if self.header.seller_id == seller.id {
            return Ok(self);
        }
        Err(CliError::Advised {
            text: format!(
                "this import was begun by seller {}, and the API key is of seller {}",
                self.header.seller_id, seller.id
            ),
            hint: "continue with a key of the seller that began it; another seller's charges go into another file"
                .to_owned(),
            code: WRONG_USAGE,
        })
    }

    /// The key of a line.
    pub(crate) fn key(&self, line: &InputLine) -> String {
        match &line.own_key {
            Some(key) => key.to_string(),
            None => format!("{}-{}", self.header.key_prefix, line.number),
        }
    }

    pub(crate) fn known(&self) -> &[LineState] {
        &self.known
    }

    /// No line will be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.known.iter().all(LineState::is_answered)
    }

    pub(crate) fn answered_count(&self) -> usize {
        self.known.iter().filter(|known| known.is_answered()).count()
    }

    /// Lines without an answer as indexes, first those that may have been charged: their keys are the oldest.
    pub(crate) fn open_lines(&self) -> Vec<usize> {
        let doubtful = |index: &usize| matches!(self.known[*index], LineState::InDoubt(_));
        let open = (0..self.known.len()).filter(|index| !self.known[*index].is_answered());
        let (mut first, rest): (Vec<usize>, Vec<usize>) = open.partition(doubtful);
        first.extend(rest);
        first
    }

    /// When the first of these lines that may have been charged was sent.
    pub(crate) fn in_doubt_since(&self, lines: &[usize]) -> Option<SentAt> {
        let since = |index: &usize| match self.known[*index] {
            LineState::InDoubt(since) => Some(since),
            LineState::NotSent | LineState::Charged { .. } | LineState::Refused { .. } => None,
        };
        lines.iter().filter_map(since).reduce(SentAt::earlier)
    }

    pub(crate) fn numbers(&self, lines: &[usize]) -> Vec<u64> {
        lines.iter().map(|index| self.numbers[*index]).collect()
    }

    /// Records what has happened, on the disk before it returns.
    pub(crate) fn record(&mut self, events: &[Event]) -> Result<(), CliError> {
        let text: String = events.iter().map(framed).collect();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(failed(&self.path))?;
        for event in events {
            self.apply(event).expect("an event that is recorded fits the state");
        }
        Ok(())
    }

    /// One step of the replay; `None` where the event does not fit the state.
    fn apply(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::Sending { sent_at, lines } => {
                for line in lines {
                    let known = self.of_line(*line)?;
                    match known {
                        LineState::NotSent => *known = LineState::InDoubt(*sent_at),
                        LineState::InDoubt(_) => {}
                        LineState::Charged { .. } | LineState::Refused { .. } => return None,
                    }
                }
            }
            Event::NotDone { lines } => {
                for line in lines {
                    *self.in_doubt(*line)? = LineState::NotSent;
                }
            }
            Event::Charged { line, id, entry, balance, replayed } => {
                let known = LineState::Charged { id: *id, entry: *entry, balance: *balance, replayed: *replayed };
                *self.in_doubt(*line)? = known;
            }
            Event::Refused { line, code, detail } => {
                *self.in_doubt(*line)? = LineState::Refused { code: *code, detail: detail.as_str().into() };
            }
            Event::Closed { at: _ } => self.closed = true,
        }
        Some(())
    }

    fn of_line(&mut self, number: u64) -> Option<&mut LineState> {
        let index = self.numbers.binary_search(&number).ok()?;
        self.known.get_mut(index)
    }

    fn in_doubt(&mut self, number: u64) -> Option<&mut LineState> {
        self.of_line(number).filter(|known| matches!(known, LineState::InDoubt(_)))
    }
}

fn lock(file: &File, paths: &Paths) -> Result<(), CliError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(in_use(paths)),
        Err(TryLockError::Error(error)) => Err(failed(&paths.resume)(error)),
    }
}

fn in_use(paths: &Paths) -> CliError {
    CliError::Advised {
        text: format!("another import of {} is under way", paths.shown_input()),
        hint: "wait for its end; then the same command shows what became of each line".to_owned(),
        code: 1,
    }
}

/// A result without a resume file: the file was imported, and its keys are unknown.
fn no_result(paths: &Paths) -> Result<(), CliError> {
    if !paths.result.exists() {
        return Ok(());
    }
    Err(CliError::Advised {
        text: format!(
            "{} was imported before: {} is there, and {} is gone; nothing was sent",
            paths.shown_input(),
            paths::shown(&paths.result),
            paths::shown(&paths.resume)
        ),
        hint: "importing it again would charge its lines again: bring the resume file back, or, where these are other \
               charges, give them a file of another name"
            .to_owned(),
        code: WRONG_USAGE,
    })
}

fn check_header(paths: &Paths, input: &Input, header: &Header) -> Result<(), CliError> {
    if header.etebar_import != VERSION {
        return Err(CliError::Advised {
            text: format!("{} is of format {}", paths::shown(&paths.resume), header.etebar_import),
            hint: "continue with the version of etebar that began it".to_owned(),
            code: WRONG_USAGE,
        });
    }
    if header.input_blake3 != input.digest || header.lines != input.lines.len() as u64 {
        return Err(CliError::Advised {
            text: format!(
                "{} has changed since its import was begun at {}; nothing was sent",
                paths.shown_input(),
                header.begun_at
            ),
            hint: format!(
                "to continue, put its old content back; new charges go into a file of another name. Keep {}: without it \
                 it is unknown which lines were charged",
                paths::shown(&paths.resume)
            ),
            code: WRONG_USAGE,
        });
    }
    Ok(())
}

fn damaged(paths: &Paths, record: usize) -> CliError {
    CliError::Advised {
        text: format!("{} is damaged in its line {record}; nothing was sent", paths::shown(&paths.resume)),
        hint: "bring it back from a copy. Without one, do not import the file again: lines may be charged twice; \
               `etebar charges list --from TIME` shows what was charged"
            .to_owned(),
        code: 1,
    }
}
