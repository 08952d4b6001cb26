//! A backup and the increments onto it, as one sequence of pages: each page once, as the last file that has it.

use std::io::Read;

use super::backup_page::BackupPage;
use super::error::BackupError;
use super::head::{Continues, Head};
use super::reader::Reader;
use crate::page::{self, Page};

/// Which file of a chain is refused, and why.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {error}")]
pub struct ChainError {
    /// The name that the caller gave.
    pub name: String,
    /// What is wrong with it.
    #[source]
    pub error: BackupError,
}

/// See the head of this file. It ends without an error only where every file was read to its end.
#[derive(Debug)]
pub struct Chain<R> {
    files: std::vec::IntoIter<(String, Reader<R>)>,
    /// Files that are read to their end.
    done: usize,
    current: Option<(String, Reader<R>)>,
    last: Head,
    /// The last page of the files read so far, where it is partial and the next file has it again.
    held: Option<BackupPage>,
}

impl<R: Read> Chain<R> {
    /// Opens a backup and its increments, in their order, each with a name for messages. All heads are read.
    ///
    /// # Errors
    /// Where there is none, the first is an increment, or one does not continue the one before it: its ledger, its records or
    /// their digest differ.
    pub fn open(inputs: impl IntoIterator<Item = (String, R)>) -> Result<Self, ChainError> {
        let mut files = Vec::new();
        let mut before: Option<Head> = None;
        for (name, input) in inputs {
            let opened = Reader::open(input).and_then(|(head, reader)| {
                check_continues(before.as_ref(), &head)?;
                Ok((head, reader))
            });
            let (head, reader) = opened.map_err(|error| ChainError { name: name.clone(), error })?;
            before = Some(head);
            files.push((name, reader));
        }
        let Some(last) = before else {
            let error = BackupError::Elsewhere { reason: "no file was given".to_owned() };
            return Err(ChainError { name: "the backup".to_owned(), error });
        };
        let mut files = files.into_iter();
        Ok(Self { current: files.next(), files, done: 0, last, held: None })
    }

    /// The head of the last file: how far the whole goes. It decodes every page of the chain ([`Head::decode`]).
    pub fn head(&self) -> &Head {
        &self.last
    }

    /// The pages with their records.
    pub fn decoded(self) -> impl Iterator<Item = Result<(BackupPage, Page), ChainError>> {
        let (head, mut name) = (self.last.clone(), String::new());
        let mut chain = self;
        std::iter::from_fn(move || {
            if let Some((current, _)) = &chain.current {
                name.clone_from(current);
            }
            let page = chain.next()?;
            Some(page.and_then(|page| {
                let decoded = head.decode(&page).map_err(|error| ChainError { name: name.clone(), error })?;
                Ok((page, decoded))
            }))
        })
    }

    /// The next page of the current file, or of the next one where that is at its end.
    fn read_next(&mut self) -> Option<Result<BackupPage, ChainError>> {
        loop {
            let (name, reader) = self.current.as_mut()?;
            let failed = |error| ChainError { name: name.clone(), error };
            let Some(page) = reader.next() else {
                self.current = self.files.next();
                self.done += 1;
                continue;
            };
            let page = match page {
                Ok(mut page) => {
                    page.place.file = self.done;
                    page
                }
                Err(error) => return Some(Err(failed(error))),
            };
            if let Some(held) = self.held.take()
                && (held.number != page.number || !page.bytes.starts_with(&held.bytes))
            {
                let reason = "it has other records than the backup before it";
                return Some(Err(failed(BackupError::altered(page::place(held.number), reason))));
            }
            let is_partial = reader.head().records < page::last_of(page.number);
            if is_partial && self.files.len() > 0 {
                self.held = Some(page);
                continue;
            }
            return Some(Ok(page));
        }
    }
}

impl<R: Read> Iterator for Chain<R> {
    type Item = Result<BackupPage, ChainError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read_next();
        if !matches!(next, Some(Ok(_))) {
            self.current = None;
            self.files = Vec::new().into_iter();
        }
        next
    }
}

/// That `next` goes on where the backup before it ends; the first one has nothing before it.
fn check_continues(before: Option<&Head>, next: &Head) -> Result<(), BackupError> {
    let elsewhere = |reason: String| Err(BackupError::Elsewhere { reason });
    match (before, next.continues) {
        (None, Some(Continues { records, .. })) => {
            elsewhere(format!("it is an increment after {records} records: name the backup that has these before it"))
        }
        (Some(_), None) => elsewhere("it is a whole backup, and no increment".to_owned()),
        (Some(before), Some(_)) if before.ledger != next.ledger => {
            elsewhere(format!("it is of ledger {}, and that one is of ledger {}", next.ledger, before.ledger))
        }
        (Some(before), Some(Continues { records, .. })) if before.records != records => {
            elsewhere(format!("it goes on after {records} records, and that one has {}", before.records))
        }
        (Some(before), Some(Continues { digest, .. })) if before.record_digest != digest => {
            elsewhere("it goes on after other records: the digests over them differ".to_owned())
        }
        (None, None) | (Some(_), Some(_)) => Ok(()),
    }
}
