//! Reads a backup, checking every frame; memory is that of one page.

use std::io::{self, Read};

use super::backup_page::{BackupPage, PagePlace, Progress};
use super::error::BackupError;
use super::frame::{self, END_PLACE, End, FRAME_BYTES_MAX, MAGIC, VERSION};
use super::head::{HEAD_PLACE, Head};

/// Reads page `number` again, where its frame begins.
///
/// # Errors
/// Where it is cut or altered, or reading fails.
pub fn read_page(mut from: impl Read, number: u64) -> Result<Vec<u8>, BackupError> {
    let mut frame = Vec::new();
    read_frame(&mut from, &mut frame, || frame::page_place(number))?;
    frame::unseal_page(number, &frame).map(<[u8]>::to_vec)
}

/// The pages of one backup, in order. It ends without an error only where the end of the backup was read and fits; after an
/// error it ends too.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    head: Head,
    read: Progress,
    /// Bytes of the file up to the end of the last frame that was whole.
    offset: u64,
    is_over: bool,
    frame: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// Where this is no backup, one of a newer build, or the head is cut or altered.
    pub fn open(mut from: R) -> Result<(Head, Self), BackupError> {
        let mut frame = Vec::new();
        read_part(&mut from, MAGIC.len(), &mut frame)?;
        if !MAGIC.starts_with(&frame) {
            return Err(BackupError::Foreign);
        }
        let cut = || BackupError::Cut { place: HEAD_PLACE.to_owned() };
        if frame.len() < MAGIC.len() {
            return Err(cut());
        }
        let version = read_number(&mut from)?.ok_or_else(cut)?;
        if version > VERSION {
            return Err(BackupError::Newer { what: format!("version {version} of the file") });
        }
        if version != VERSION {
            return Err(BackupError::altered(HEAD_PLACE, format!("there is no version {version} of the file")));
        }
        read_frame(&mut from, &mut frame, || HEAD_PLACE.to_owned())?;
        let head = frame::unseal_head(&frame)?;
        head.check()?;
        if head.rules > ledger::RULES_VERSION {
            return Err(BackupError::Newer { what: format!("version {} of the ledger's rules", head.rules) });
        }
        let offset = (MAGIC.len() + 4 + 4 + frame.len()) as u64;
        Ok((head.clone(), Self { from, head, read: Progress::default(), offset, is_over: false, frame }))
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many pages were read.
    pub fn progress(&self) -> Progress {
        self.read
    }

    /// Bytes of the file up to the end of the last frame that was whole: where a backup that was cut is continued.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn read_next(&mut self) -> Result<Option<BackupPage>, BackupError> {
        let due = self.head.pages().nth(usize::try_from(self.read.pages).unwrap_or(usize::MAX));
        let place = || due.map_or_else(|| END_PLACE.to_owned(), frame::page_place);
        read_frame(&mut self.from, &mut self.frame, place)?;
        let Some(number) = due else {
            self.check_end(&frame::unseal_end(&self.frame)?)?;
            self.offset += 4 + self.frame.len() as u64;
            return Ok(None);
        };
        let bytes = frame::unseal_page(number, &self.frame)?.to_vec();
        self.read.pages += 1;
        self.read.bytes += bytes.len() as u64;
        let place = PagePlace { file: 0, offset: self.offset };
        self.offset += 4 + self.frame.len() as u64;
        Ok(Some(BackupPage { number, bytes, place }))
    }

    fn check_end(&mut self, end: &End) -> Result<(), BackupError> {
        let Progress { pages, bytes } = self.read;
        if *end != (End { pages, bytes, digest: self.head.record_digest }) {
            let reason =
                format!("it says {} pages and {} bytes, and there are {pages} and {bytes}", end.pages, end.bytes);
            return Err(BackupError::altered(END_PLACE, reason));
        }
        let mut after = Vec::new();
        read_part(&mut self.from, 1, &mut after)?;
        if after.is_empty() { Ok(()) } else { Err(BackupError::altered(END_PLACE, "more comes after it")) }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<BackupPage, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read_next().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads up to `count` bytes in place of what `into` held: fewer where the input ends.
fn read_part(from: &mut impl Read, count: usize, into: &mut Vec<u8>) -> Result<(), io::Error> {
    into.clear();
    // The buffer grows with what comes, so that a length that lies takes no memory.
    from.take(count as u64).read_to_end(into)?;
    Ok(())
}

/// Reads four bytes; `None` where the input ends before.
fn read_number(from: &mut impl Read) -> Result<Option<u32>, io::Error> {
    let mut bytes = Vec::with_capacity(4);
    read_part(from, 4, &mut bytes)?;
    Ok(<[u8; 4]>::try_from(bytes.as_slice()).ok().map(u32::from_be_bytes))
}

fn read_frame(from: &mut impl Read, frame: &mut Vec<u8>, place: impl Fn() -> String) -> Result<(), BackupError> {
    let cut = || BackupError::Cut { place: place() };
    let length = read_number(from)?.ok_or_else(cut)? as usize;
    if length > FRAME_BYTES_MAX {
        return Err(BackupError::altered(place(), format!("a frame of {length} bytes")));
    }
    read_part(from, length, frame)?;
    if frame.len() < length { Err(cut()) } else { Ok(()) }
}
