//! Pages as a file, for readers that know nothing of sled: what `etebar-node pages` writes. docs/format.md describes it.

use std::io::{self, Write};

use ledger::page_of;

use super::{History, page};
use crate::storage::error::StorageError;

/// What a file of pages begins with: seven letters and the version of the file.
pub const PAGES_HEADING: [u8; 8] = *b"EtbPage\x01";

/// Why pages were not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A page is damaged, or there is no such page.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// They could not be written.
    #[error("the pages could not be written: {0}")]
    Io(#[from] io::Error),
}

impl History {
    /// Writes the durable pages from `from` on: the heading, then each page behind its length in four bytes. The end is a
    /// length of zero, how many records are durable (8), and the chain over them (32): a file without it is cut short.
    ///
    /// # Errors
    /// Where there is no such page, one is damaged, or `out` fails.
    pub fn export(&self, from: u64, out: &mut impl Write) -> Result<(), ExportError> {
        let to = self.checkpoint();
        if from > 0 && (to.records == 0 || from > page_of(to.records)) {
            return Err(StorageError::NoRecord { number: page::first_of(from), last: to.records }.into());
        }
        out.write_all(&PAGES_HEADING)?;
        let pages = if to.records == 0 { 0..0 } else { from..page_of(to.records) + 1 };
        for page in pages {
            let bytes = self.page(page, to.records)?;
            let length = u32::try_from(bytes.len()).expect("a value in parts is under 16 MiB");
            out.write_all(&length.to_be_bytes())?;
            out.write_all(&bytes)?;
        }
        out.write_all(&0_u32.to_be_bytes())?;
        out.write_all(&to.records.to_be_bytes())?;
        out.write_all(&to.digest.0)?;
        Ok(out.flush()?)
    }
}
