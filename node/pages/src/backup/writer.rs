//! Writes a backup, frame by frame.

use std::io::Write;

use super::backup_page::Progress;
use super::error::BackupError;
use super::frame::{self, End, FRAME_BYTES_MAX, MAGIC, VERSION};
use super::head::Head;

/// See the head of this file. What it wrote is no backup before [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    head: Head,
    written: Progress,
}

impl<W: Write> Writer<W> {
    /// Begins a backup with its head.
    ///
    /// # Errors
    /// Where the head contradicts itself, or `out` fails.
    pub fn begin(mut out: W, head: Head) -> Result<Self, BackupError> {
        head.check().map_err(|error| BackupError::Unwritable { reason: error.to_string() })?;
        let sealed = frame::seal_head(&head)?;
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_be_bytes())?;
        let mut writer = Self { out, head, written: Progress::default() };
        writer.put(&sealed)?;
        Ok(writer)
    }

    /// Goes on with one whose head and first pages are written, as a [`super::Reader`] found them.
    pub fn resume(out: W, head: Head, written: Progress) -> Self {
        Self { out, head, written }
    }

    /// Writes the next page.
    ///
    /// # Errors
    /// Where it is not the one that is due, is too large, or `out` fails.
    pub fn page(&mut self, number: u64, bytes: &[u8]) -> Result<(), BackupError> {
        let due = self.head.pages().nth(usize::try_from(self.written.pages).unwrap_or(usize::MAX));
        if due != Some(number) {
            return Err(BackupError::Unwritable { reason: format!("page {number} comes where {due:?} is due") });
        }
        self.put(&frame::seal_page(number, bytes))?;
        self.written.pages += 1;
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes the end. What was written is a whole backup from here on.
    ///
    /// # Errors
    /// Where a page is missing, or `out` fails.
    pub fn finish(&mut self) -> Result<(), BackupError> {
        let Progress { pages, bytes } = self.written;
        let all = self.head.pages();
        let due = all.end - all.start;
        if pages != due {
            return Err(BackupError::Unwritable { reason: format!("{pages} of {due} pages were given") });
        }
        let end = End { pages, bytes, digest: self.head.record_digest };
        self.put(&frame::seal_end(&end))?;
        self.out.flush()?;
        Ok(())
    }

    /// Where it goes, so that a caller can flush or sync what was written so far.
    pub fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives back where it went.
    pub fn into_out(self) -> W {
        self.out
    }

    /// How many pages were written.
    pub fn written(&self) -> Progress {
        self.written
    }

    fn put(&mut self, sealed: &[u8]) -> Result<(), BackupError> {
        let fits = sealed.len() <= FRAME_BYTES_MAX;
        let length = u32::try_from(sealed.len()).ok().filter(|_| fits);
        let length =
            length.ok_or_else(|| BackupError::Unwritable { reason: format!("a frame of {} bytes", sealed.len()) })?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(sealed)?;
        Ok(())
    }
}
