//! Frames on a peer connection: a length of four bytes, then one encoded value of at most [`FRAME_BYTES`], which begins with
//! the version of the link that the hello agreed on. The hello itself is bytes of its own, in two frames.
//!
//! Invariant: reading is cancel-safe (a half-read frame stays in the buffer), and a frame that does not decode ends
//! the connection: after it nothing that follows can be trusted.

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{ReadHalf, WriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

use super::error::LinkError;
use super::hello::version::{LINK_VERSIONS, LinkVersion};
use super::trust::open::OpenSlot;
use super::trust::transport::Stream;
use crate::storage::format::{Kind, codec};

/// Longest frame, in bytes. An entry is at most half of it (see the proposer), so an append of one always fits.
pub const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Longest frame before both sides know each other, in bytes. Source: a hello takes less than a tenth of it.
pub const HELLO_BYTES: usize = 1024;

/// Receives frames.
#[derive(Debug)]
pub struct Receiver {
    frames: FramedRead<ReadHalf<Stream>, LengthDelimitedCodec>,
    /// Of the values that it takes.
    version: LinkVersion,
    /// Where it is among the connections that this node may have to close.
    held: Option<OpenSlot>,
}

/// Sends frames.
#[derive(Debug)]
pub struct Sender {
    frames: FramedWrite<WriteHalf<Stream>, LengthDelimitedCodec>,
    /// Of the values that it sends.
    version: LinkVersion,
    /// Cancelled when this node has to close the connection.
    closing: CancellationToken,
}

/// Both halves of a connection. Frames that come in are at most [`HELLO_BYTES`] long until [`Receiver::admit`].
pub fn split_for_hello(stream: Stream) -> (Sender, Receiver) {
    let (sender, mut receiver) = split(stream);
    receiver.frames.decoder_mut().set_max_frame_length(HELLO_BYTES);
    (sender, receiver)
}

/// Both halves of a connection.
pub fn split(stream: Stream) -> (Sender, Receiver) {
    let (read, write) = tokio::io::split(stream);
    let frames = FramedRead::new(read, codec_of_frames());
    let version = LINK_VERSIONS.highest;
    let frames_out = FramedWrite::new(write, codec_of_frames());
    let sender = Sender { frames: frames_out, version, closing: CancellationToken::new() };
    (sender, Receiver { frames, version, held: None })
}

/// The framing: a length before each frame.
pub(crate) fn codec_of_frames() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES).new_codec()
}

impl Sender {
    /// The version of its frames, once the hello agreed on it.
    pub fn version(&self) -> LinkVersion {
        self.version
    }

    /// Sends one value and flushes, unless the connection is to be closed: the sender of a snapshot receives
    /// nothing meanwhile, and learns of it here.
    pub async fn send<T: Serialize>(&mut self, value: &T) -> Result<(), LinkError> {
        let closing = self.closing.clone();
        tokio::select! {
            biased;
            () = closing.cancelled() => Err(LinkError::Closed),
            sent = async {
                self.feed(value).await?;
                self.flush().await
            } => sent,
        }
    }

    /// Puts one value into the buffer; [`Self::flush`] sends it.
    pub async fn feed<T: Serialize>(&mut self, value: &T) -> Result<(), LinkError> {
        let bytes = codec::encode_in(Kind::Message, self.version, value)
            .map_err(|error| LinkError::Malformed(error.to_string()))?;
        Ok(self.frames.feed(Bytes::from(bytes)).await?)
    }

    /// Sends a frame of these bytes: one of the hello.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<(), LinkError> {
        self.frames.feed(Bytes::from(bytes)).await?;
        self.flush().await
    }

    /// Sends what is in the buffer.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        Ok(SinkExt::<Bytes>::flush(&mut self.frames).await?)
    }
}

impl Receiver {
    /// The peer is known: frames may be long from here on, and are of this version, until the connection is to be closed,
    /// which `sender` heeds too.
    pub fn admit(&mut self, sender: &mut Sender, version: LinkVersion, held: OpenSlot) {
        (self.version, sender.version) = (version, version);
        self.frames.decoder_mut().set_max_frame_length(FRAME_BYTES);
        sender.closing = held.token();
        self.held = Some(held);
    }

    /// The peer was asked for a value of this version that takes `bytes` at most.
    pub fn expect(&mut self, version: LinkVersion, bytes: usize) {
        self.version = version;
        self.frames.decoder_mut().set_max_frame_length(bytes);
    }

    /// The next value; cancel-safe.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, LinkError> {
        let frame = self.receive_bytes().await?;
        codec::decode_in(Kind::Message, self.version, &frame).map_err(|error| LinkError::Malformed(error.to_string()))
    }

    /// The bytes of the next frame; cancel-safe.
    pub async fn receive_bytes(&mut self) -> Result<BytesMut, LinkError> {
        let Self { frames, held, version: _ } = self;
        let next = frames.next();
        let frame = match held {
            None => next.await,
            Some(held) => tokio::select! {
                biased;
                () = held.closing() => return Err(LinkError::Closed),
                frame = next => frame,
            },
        };
        Ok(frame.ok_or(LinkError::Closed)??)
    }
}
