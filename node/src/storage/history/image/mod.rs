//! Images: what was made of the records up to some one, in files beside the pages, so that a start goes on from there. There
//! is one of the state and one of the audit.
//!
//! The pages are the truth. An image that is damaged, cut, of another form, ahead of the checkpoint or of other records is
//! removed, and what it stood for is made again from the first record on.
//!
//! Read in this order: [`frames`] (the bytes of a file), and what each image is made of, below.

mod frames;

use ledger::{AUDIT_IMAGE_VERSION, Audit, AuditBuilder, IMAGE_VERSION, StateBuilder};
use ledger::{RecordNumber, State, page_of};

use self::frames::Form;
pub use self::frames::WrittenImage;
use super::Page;
use super::{History, page};
use crate::storage::disk::ImageName;
use crate::storage::error::StorageError;

/// The image of the state.
const STATE: Form =
    Form { name: ImageName::State, magic: *b"etbimage", version: IMAGE_VERSION, place: "the image of the state" };
/// The image of the audit.
const AUDIT: Form =
    Form { name: ImageName::Audit, magic: *b"etbaudit", version: AUDIT_IMAGE_VERSION, place: "the image of the audit" };

/// An image that was read.
#[derive(Debug)]
pub struct Image<T> {
    /// What it holds.
    pub of: T,
    /// The last record that it covers.
    pub records: u64,
    /// Its bytes on the disk.
    pub bytes: u64,
}

impl History {
    /// Writes `state`, all of whose records have to be durable, in place of the image before. Blocks; returns its bytes.
    ///
    /// # Errors
    /// Where a record of `state` is not durable, or the disk fails. What there was before then stays.
    pub fn write_image(&self, state: &State) -> Result<u64, StorageError> {
        self.check_durable(state.records())?;
        self.keep_image(frames::write(&*self.disk, &STATE, state.records(), state.parts())?)
    }

    /// Writes `audit` beside the image before, in whose place it comes once [`Self::keep_image`] is told so. Blocks. `None` where
    /// the audit has no image.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn write_audit_image(&self, audit: &Audit) -> Result<Option<WrittenImage>, StorageError> {
        let Some(parts) = audit.parts() else { return Ok(None) };
        frames::write(&*self.disk, &AUDIT, audit.records(), parts).map(Some)
    }

    /// Puts an image, all of whose records have to be durable, in place of the one before. Blocks; returns its bytes.
    ///
    /// # Errors
    /// Where one of its records is not durable, or the disk fails. What there was before then stays.
    pub fn keep_image(&self, image: WrittenImage) -> Result<u64, StorageError> {
        self.check_durable(image.records())?;
        image.keep()
    }

    fn check_durable(&self, records: u64) -> Result<(), StorageError> {
        let durable = self.durable_records();
        if records > durable {
            let reason = format!("{records} records, of which {durable} are durable");
            return Err(StorageError::OutOfOrder { doing: "write an image", reason });
        }
        Ok(())
    }

    /// The last image of the state; `None` where there is none that can be used. One that cannot is removed, and the log says
    /// why. Blocks.
    pub fn read_image(&self) -> Option<Image<State>> {
        self.usable(&STATE, self.read_state())
    }

    /// The last image of the audit, in the same way. It is one of records that this history has: their chains are compared.
    pub fn read_audit_image(&self) -> Option<Image<Audit>> {
        self.usable(&AUDIT, self.read_audit())
    }

    /// Removes the image of the state, where there is one.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn remove_image(&self) -> Result<(), StorageError> {
        self.disk.remove_image(ImageName::State)
    }

    fn usable<T>(&self, form: &Form, found: Result<Option<Image<T>>, StorageError>) -> Option<Image<T>> {
        let error = match found {
            Ok(image) => return image,
            Err(error) => error,
        };
        tracing::warn!(%error, "an image is not used: all pages are read in place of it");
        if let Err(error) = self.disk.remove_image(form.name) {
            tracing::warn!(%error, "it could not be removed");
        }
        None
    }

    fn read_state(&self) -> Result<Option<Image<State>>, StorageError> {
        let Some(mut parts) = frames::open(&*self.disk, &STATE)? else { return Ok(None) };
        let mut builder = StateBuilder::new(parts.first()?).map_err(|error| STATE.damaged(error))?;
        parts.rest(|part| builder.add(part))?;
        let records = builder.records();
        let open = self.page_up_to(&STATE, records)?.map_or_else(Vec::new, |page| page.records);
        let of = builder.finish(&open).map_err(|error| STATE.damaged(error))?;
        Ok(Some(Image { of, records, bytes: parts.bytes() }))
    }

    fn read_audit(&self) -> Result<Option<Image<Audit>>, StorageError> {
        let Some(mut parts) = frames::open(&*self.disk, &AUDIT)? else { return Ok(None) };
        let mut builder = AuditBuilder::new(parts.first()?).map_err(|error| AUDIT.damaged(error))?;
        parts.rest(|part| builder.add(part))?;
        let records = builder.records();
        let Some(open) = self.page_up_to(&AUDIT, records)? else { return Err(AUDIT.damaged("it is of no record")) };
        let of = builder.finish(&open.mark, &open.records).map_err(|error| AUDIT.damaged(error))?;
        Ok(Some(Image { of, records, bytes: parts.bytes() }))
    }

    /// The page of the last record of an image up to that one; `None` where it has none.
    fn page_up_to(&self, form: &Form, records: RecordNumber) -> Result<Option<Page>, StorageError> {
        let durable = self.durable_records();
        if records > durable {
            return Err(form.damaged(format!("it holds {records} records, the history {durable}")));
        }
        if records == 0 {
            return Ok(None);
        }
        page::read(&*self.disk, page_of(records), records).map(Some)
    }
}
