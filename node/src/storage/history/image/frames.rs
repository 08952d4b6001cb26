//! The file of an image: eight bytes that say of what it is, the form of the parts (4 bytes, big-endian), then frames, each
//! behind its length (4 bytes, big-endian) and sealed under its number from 0: a part each, and an end that says how many
//! there were.

use std::fmt;
use std::io::{self, Read};

use ledger::ImageError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::storage::disk::{Disk, ImageName, ImageWriter};
use crate::storage::error::StorageError;
use crate::storage::format::Kind;
use crate::storage::format::codec::{self, SEAL_BYTES, VALUE_LIMIT};

/// Of what an image is.
#[derive(Debug)]
pub(super) struct Form {
    /// Which file it is.
    pub(super) name: ImageName,
    /// Its first bytes.
    pub(super) magic: [u8; 8],
    /// The form of its parts.
    pub(super) version: u32,
    /// What it is called in messages.
    pub(super) place: &'static str,
}

impl Form {
    /// It cannot be used.
    pub(super) fn damaged(&self, reason: impl ToString) -> StorageError {
        StorageError::damaged(self.place, reason)
    }

    fn unread(&self, error: &io::Error) -> StorageError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it is cut short"),
            _ => StorageError::io("read", self.place, error),
        }
    }
}

/// What is in a frame.
#[derive(Debug, Serialize, Deserialize)]
enum Frame<P> {
    Part(P),
    End { parts: u64 },
}

/// An image that was written whole, and counts once it is kept. Where it is dropped before, the one before it stays.
pub struct WrittenImage {
    file: Box<dyn ImageWriter>,
    records: u64,
    frames: u64,
    bytes: u64,
}

impl fmt::Debug for WrittenImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrittenImage({} records, {} bytes)", self.records, self.bytes)
    }
}

/// Writes the parts of what `records` records made, in the form named.
pub(super) fn write<P: Serialize>(
    disk: &dyn Disk,
    form: &Form,
    records: u64,
    parts: impl Iterator<Item = P>,
) -> Result<WrittenImage, StorageError> {
    let mut image = WrittenImage { file: disk.create_image(form.name)?, records, frames: 0, bytes: 0 };
    image.write(&form.magic)?;
    image.write(&form.version.to_be_bytes())?;
    for part in parts {
        image.put(&Frame::Part(part))?;
    }
    let parts = image.frames;
    image.put(&Frame::<P>::End { parts })?;
    Ok(image)
}

impl WrittenImage {
    /// The last record that it covers.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it survive, in place of the one before; returns its bytes.
    pub(super) fn keep(self) -> Result<u64, StorageError> {
        self.file.keep().map(|()| self.bytes)
    }

    fn put<P: Serialize>(&mut self, frame: &Frame<P>) -> Result<(), StorageError> {
        let sealed = codec::seal_value(Kind::Image, &self.frames.to_be_bytes(), frame)?;
        let length = u32::try_from(sealed.len()).expect("the codec refuses more than 16 MiB");
        self.write(&length.to_be_bytes())?;
        self.write(&sealed)?;
        self.frames += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.bytes += bytes.len() as u64;
        self.file.write(bytes)
    }
}

/// The parts of the last image of this form, one after the other; `None` where there is none.
pub(super) fn open<'a>(disk: &dyn Disk, form: &'a Form) -> Result<Option<Parts<'a>>, StorageError> {
    let Some(file) = disk.open_image(form.name)? else { return Ok(None) };
    let mut parts = Parts { form, file, sealed: Vec::new(), frames: 0, bytes: 0 };
    let (magic, version) = (parts.array()?, parts.array()?);
    if magic != form.magic || version != form.version.to_be_bytes() {
        return Err(form.damaged("it has another form than this build writes"));
    }
    Ok(Some(parts))
}

/// An image that is being read.
pub(super) struct Parts<'a> {
    form: &'a Form,
    file: Box<dyn Read + Send>,
    /// The frame that was read last.
    sealed: Vec<u8>,
    frames: u64,
    bytes: u64,
}

impl Parts<'_> {
    /// The first part.
    pub(super) fn first<P: DeserializeOwned>(&mut self) -> Result<P, StorageError> {
        match self.next()? {
            Frame::Part(part) => Ok(part),
            Frame::End { .. } => Err(self.form.damaged("it is empty")),
        }
    }

    /// Gives all other parts to `with`, and checks that there are as many as were written.
    pub(super) fn rest<P: DeserializeOwned>(
        &mut self,
        mut with: impl FnMut(P) -> Result<(), ImageError>,
    ) -> Result<(), StorageError> {
        loop {
            match self.next()? {
                Frame::Part(part) => with(part).map_err(|error| self.form.damaged(error))?,
                Frame::End { parts } if parts + 1 == self.frames => return Ok(()),
                Frame::End { parts } => {
                    let reason = format!("{parts} parts were written, and {} are there", self.frames - 1);
                    return Err(self.form.damaged(reason));
                }
            }
        }
    }

    /// The bytes that were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn next<P: DeserializeOwned>(&mut self) -> Result<Frame<P>, StorageError> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        if length > VALUE_LIMIT + SEAL_BYTES {
            return Err(self.form.damaged(format!("a frame of {length} bytes")));
        }
        self.sealed.resize(length, 0);
        self.file.read_exact(&mut self.sealed).map_err(|error| self.form.unread(&error))?;
        self.bytes += length as u64;
        let key = self.frames.to_be_bytes();
        let frame = codec::unseal_value(Kind::Image, &key, &self.sealed, self.form.place)?;
        self.frames += 1;
        Ok(frame)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|error| self.form.unread(&error))?;
        self.bytes += N as u64;
        Ok(bytes)
    }
}
