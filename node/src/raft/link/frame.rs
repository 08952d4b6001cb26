//! Frames on a peer connection: a length of four bytes, then one encoded value of at most [`FRAME_BYTES`].
//!
//! Invariant: reading is cancel-safe (a half-read frame stays in the buffer), and a frame that does not decode ends
//! the connection: after it nothing that follows can be trusted.

use std::io;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::runtime::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use crate::storage::codec;

/// Longest frame, in bytes. An entry is at most half of it (see the proposer), so an append of one always fits.
pub const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The other side hung up.
    #[error("the peer hung up")]
    Closed,
    /// Nothing came in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// Bytes that mean nothing.
    #[error("the peer sent what does not decode: {0}")]
    Malformed(String),
    /// One side refused the other's hello; the text names the remedy.
    #[error("{0}")]
    Refused(String),
}

/// Receives frames.
#[derive(Debug)]
pub struct Receiver(FramedRead<OwnedReadHalf, LengthDelimitedCodec>);

/// Sends frames.
#[derive(Debug)]
pub struct Sender(FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>);

/// Both halves of a connection, unbuffered by the kernel.
pub fn split(stream: TcpStream) -> io::Result<(Sender, Receiver)> {
    // A small frame that waits for more would cost each commit up to 40 ms.
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    Ok((Sender(FramedWrite::new(write, codec_of_frames())), Receiver(FramedRead::new(read, codec_of_frames()))))
}

/// How frames are told apart.
pub(crate) fn codec_of_frames() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES).new_codec()
}

impl Sender {
    /// Sends one value and flushes.
    pub async fn send<T: Serialize>(&mut self, value: &T) -> Result<(), LinkError> {
        self.feed(value).await?;
        self.flush().await
    }

    /// Puts one value into the buffer; [`Self::flush`] sends it.
    pub async fn feed<T: Serialize>(&mut self, value: &T) -> Result<(), LinkError> {
        let bytes = codec::encode(value).map_err(|error| LinkError::Malformed(error.to_string()))?;
        Ok(self.0.feed(Bytes::from(bytes)).await?)
    }

    /// Sends what is in the buffer.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        Ok(SinkExt::<Bytes>::flush(&mut self.0).await?)
    }
}

impl Receiver {
    /// The next value; cancel-safe.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, LinkError> {
        let frame = self.0.next().await.ok_or(LinkError::Closed)??;
        codec::decode(&frame).map_err(|error| LinkError::Malformed(error.to_string()))
    }
}
