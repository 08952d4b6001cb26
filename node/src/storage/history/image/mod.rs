//! The image: the state as of some record, in a file beside the pages, so that a start replays only the pages behind it.
//!
//! The pages are the truth. An image that is damaged, cut, of another form or ahead of the checkpoint is removed, and the
//! pages are replayed from the beginning.
//!
//! Layout: [`MAGIC`], the form of the parts (4 bytes, big-endian), then frames, each behind its length (4 bytes, big-endian)
//! and sealed under its number from 0: a part each, and an end that says how many there were.

use std::io::{self, Read};

use ledger::{IMAGE_VERSION, Part, State, StateBuilder, page_of};
use serde::{Deserialize, Serialize};

use super::{History, page};
use crate::storage::disk::ImageWriter;
use crate::storage::error::StorageError;
use crate::storage::format::Kind;
use crate::storage::format::codec::{self, SEAL_BYTES, VALUE_LIMIT};

const MAGIC: [u8; 8] = *b"etbimage";

/// Where the image lies, for messages.
const PLACE: &str = "the image of the state";

/// What is in a frame.
#[derive(Debug, Serialize, Deserialize)]
enum Frame {
    Part(Part),
    End { parts: u64 },
}

/// An image that was read.
pub struct Image {
    /// The state that it holds.
    pub state: State,
    /// Its bytes on the disk.
    pub bytes: u64,
}

impl History {
    /// Writes `state`, all of whose records have to be durable, in place of the image before. Blocks; returns its bytes.
    ///
    /// # Errors
    /// Where a record of `state` is not durable, or the disk fails. What there was before then stays.
    pub fn write_image(&self, state: &State) -> Result<u64, StorageError> {
        let durable = self.durable_records();
        if state.records() > durable {
            let reason = format!("{} records, of which {durable} are durable", state.records());
            return Err(StorageError::OutOfOrder { doing: "write an image", reason });
        }
        let mut frames = FrameWriter { file: self.disk.create_image()?, frames: 0, bytes: 0 };
        frames.write(&MAGIC)?;
        frames.write(&IMAGE_VERSION.to_be_bytes())?;
        for part in state.parts() {
            frames.put(&Frame::Part(part))?;
        }
        let parts = frames.frames;
        frames.put(&Frame::End { parts })?;
        frames.file.keep()?;
        Ok(frames.bytes)
    }

    /// The last image; `None` where there is none that can be used. One that cannot is removed, and the log says why. Blocks.
    pub fn read_image(&self) -> Option<Image> {
        let found = self.disk.open_image().and_then(|file| file.map(|file| self.read_from(file)).transpose());
        let error = match found {
            Ok(image) => return image,
            Err(error) => error,
        };
        tracing::warn!(%error, "the image of the state is not used: all pages are replayed");
        if let Err(error) = self.disk.remove_image() {
            tracing::warn!(%error, "it could not be removed");
        }
        None
    }

    fn read_from(&self, file: Box<dyn Read + Send>) -> Result<Image, StorageError> {
        let mut frames = FrameReader { file, sealed: Vec::new(), frames: 0, bytes: 0 };
        let heading: [u8; 12] = frames.array()?;
        if heading[..8] != MAGIC || heading[8..] != IMAGE_VERSION.to_be_bytes() {
            return Err(damaged("it has another form than this build writes"));
        }
        let Frame::Part(first) = frames.next()? else { return Err(damaged("it is empty")) };
        let mut builder = StateBuilder::new(first).map_err(damaged)?;
        let parts = loop {
            match frames.next()? {
                Frame::Part(part) => builder.add(part).map_err(damaged)?,
                Frame::End { parts } => break parts,
            }
        };
        if parts + 1 != frames.frames {
            return Err(damaged(format!("{parts} parts were written, and {} are there", frames.frames - 1)));
        }
        let (records, durable) = (builder.records(), self.durable_records());
        if records > durable {
            return Err(damaged(format!("it holds {records} records, the history {durable}")));
        }
        let open = if records == 0 { Vec::new() } else { page::read(&*self.disk, page_of(records), records)?.records };
        let state = builder.finish(&open).map_err(damaged)?;
        Ok(Image { state, bytes: frames.bytes })
    }
}

fn damaged(reason: impl ToString) -> StorageError {
    StorageError::damaged(PLACE, reason)
}

struct FrameWriter {
    file: Box<dyn ImageWriter>,
    frames: u64,
    bytes: u64,
}

impl FrameWriter {
    fn put(&mut self, frame: &Frame) -> Result<(), StorageError> {
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

struct FrameReader {
    file: Box<dyn Read + Send>,
    /// The frame that was read last.
    sealed: Vec<u8>,
    frames: u64,
    bytes: u64,
}

impl FrameReader {
    fn next(&mut self) -> Result<Frame, StorageError> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        if length > VALUE_LIMIT + SEAL_BYTES {
            return Err(damaged(format!("a frame of {length} bytes")));
        }
        self.sealed.resize(length, 0);
        self.file.read_exact(&mut self.sealed).map_err(|error| unread(&error))?;
        self.bytes += length as u64;
        let frame = codec::unseal_value(Kind::Image, &self.frames.to_be_bytes(), &self.sealed, PLACE)?;
        self.frames += 1;
        Ok(frame)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|error| unread(&error))?;
        self.bytes += N as u64;
        Ok(bytes)
    }
}

fn unread(error: &io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is cut short"),
        _ => StorageError::io("read", PLACE, error),
    }
}
