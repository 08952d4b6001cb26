//! One connection's bytes: tracks how far the current request has come, signs what hyper answers by itself, and lingers
//! before it closes.
//!
//! hyper answers a head that it cannot parse before a handler sees a request. It reads the next head only once the previous
//! answer was sent whole, so what it writes while no request is in flight is such an answer.
//! A socket that is closed with unread bytes is reset, and the reset may overtake the answer. So where a body was not
//! read, closing means: half-close, then read and drop what still arrives, up to a bound, and close after that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::http::app::App;

/// How far the connection's current request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// No byte has arrived since the connection was accepted.
    New = 0,
    /// Some of a head has arrived.
    Head = 1,
    /// The head was read; the request is being answered.
    Request = 2,
    /// The answer is known and on its way.
    Answer = 3,
    /// The answer was sent, and no byte of the next request has arrived.
    Idle = 4,
    /// A head could not be parsed, and is answered without a handler.
    Refused = 5,
}

/// Shared by the wire, the service and the timer of one connection; all of them run in one task.
#[derive(Debug, Default)]
pub(crate) struct RequestProgress {
    phase: AtomicU8,
    /// Requests, and writes of an answer that is sent in pieces.
    steps: AtomicU32,
    unread: AtomicBool,
    body_given: AtomicBool,
    in_pieces: AtomicBool,
}

impl RequestProgress {
    /// How far the current request has come.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::New,
            1 => Phase::Head,
            2 => Phase::Request,
            3 => Phase::Answer,
            4 => Phase::Idle,
            _ => Phase::Refused,
        }
    }

    /// Phase and number of the step: two equal values mean that no phase began or ended in between, and no byte of an answer in
    /// pieces was taken.
    pub(crate) fn mark(&self) -> (u32, Phase) {
        (self.steps.load(Ordering::Relaxed), self.phase())
    }

    /// Whether the answer is sent in pieces: its length is not known before its end.
    pub(crate) fn is_in_pieces(&self) -> bool {
        self.in_pieces.load(Ordering::Relaxed)
    }

    /// A head was read; `body` says whether a body follows it.
    pub(crate) fn head_read(&self, body: bool) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.unread.store(body, Ordering::Relaxed);
        self.set(Phase::Request);
    }

    /// The body was read to its end.
    pub(crate) fn body_read(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    /// Whether some of the last request's body was not read.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The request has an answer; `in_pieces` where its length is not known.
    pub(crate) fn answered(&self, in_pieces: bool) {
        self.in_pieces.store(in_pieces, Ordering::Relaxed);
        self.body_given.store(false, Ordering::Relaxed);
        self.set(Phase::Answer);
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn bytes_arrived(&self) {
        if matches!(self.phase(), Phase::New | Phase::Idle) {
            self.set(Phase::Head);
        }
    }

    /// The caller, or the kernel for it, took bytes of an answer.
    fn bytes_taken(&self) {
        if self.is_in_pieces() {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All that hyper had to write was sent.
    fn flushed(&self) {
        if self.phase() == Phase::Answer && self.body_given.load(Ordering::Relaxed) {
            self.set(Phase::Idle);
        }
    }

    /// Whether hyper was given an answer, or may be yet.
    fn is_in_flight(&self) -> bool {
        matches!(self.phase(), Phase::Request | Phase::Answer)
    }

    fn lingers(&self) -> bool {
        self.is_unread() || matches!(self.phase(), Phase::Head | Phase::Refused)
    }
}

/// A request's body that reports its end to a [`RequestProgress`].
pub(crate) struct Inbound {
    /// The body.
    pub incoming: Incoming,
    /// Where it is reported.
    pub progress: Arc<RequestProgress>,
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.is_none() || self.incoming.is_end_stream() {
            self.progress.body_read();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// An answer's body that reports to a [`RequestProgress`] when hyper has all of it.
pub(crate) struct Outbound {
    /// The body.
    pub body: axum::body::Body,
    /// Where it is reported.
    pub progress: Arc<RequestProgress>,
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.progress.body_given.store(true, Ordering::Relaxed);
    }
}

/// A stream that reports to a [`RequestProgress`], signs bare answers, and closes without a reset.
pub(crate) struct Wire<S> {
    stream: S,
    progress: Arc<RequestProgress>,
    app: App,
    bare: Bytes,
    left: usize,
    closing: Option<Closing>,
}

enum Closing {
    Ending,
    Dropping(Pin<Box<Sleep>>),
}

impl<S> Wire<S> {
    /// What is read and dropped at the end has its bound in the app's limits.
    pub(crate) fn new(stream: S, progress: Arc<RequestProgress>, app: App) -> Self {
        let left = app.limits.linger_bytes;
        Self { stream, progress, app, bare: Bytes::new(), left, closing: None }
    }

    /// Answers without a handler. `answer` ends with an empty line, or with the body after that; it is sent with the next
    /// flush, or at the close.
    pub(crate) fn answer_bare(&mut self, answer: &[u8]) {
        self.progress.set(Phase::Refused);
        let line_end = answer.iter().position(|byte| *byte == b'\n').map_or(answer.len(), |end| end + 1);
        let (line, rest) = answer.split_at(line_end);
        self.bare = [line, &self.app.signature_lines(), rest].concat().into();
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn poll_bare(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.bare.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.bare))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.bare = self.bare.slice(sent..);
        }
        Poll::Ready(Ok(()))
    }

    /// Signs hyper's answer to a head that it could not parse; hyper writes all of it at once.
    fn sign_answer(&mut self, answer: &[u8]) -> Poll<io::Result<usize>> {
        if self.progress.phase() != Phase::Refused {
            self.answer_bare(answer);
        }
        Poll::Ready(Ok(answer.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.progress.bytes_arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.progress.is_in_flight() {
            return self.sign_answer(bytes);
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.progress.bytes_taken();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.progress.is_in_flight() {
            let bytes = parts.iter().map(|part| &**part).collect::<Vec<_>>().concat();
            return self.sign_answer(&bytes);
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts));
        self.progress.bytes_taken();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_bare(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.progress.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                None => this.closing = Some(Closing::Ending),
                Some(Closing::Ending) => {
                    ready!(this.poll_bare(cx))?;
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    if !this.progress.lingers() {
                        return Poll::Ready(Ok(()));
                    }
                    let end = Instant::now() + this.app.limits.linger;
                    this.closing = Some(Closing::Dropping(Box::pin(tokio::time::sleep_until(end))));
                }
                Some(Closing::Dropping(end)) => {
                    if end.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                    return drop_incoming(&mut this.stream, &mut this.left, cx);
                }
            }
        }
    }
}

/// Reads and drops until the caller closes, `left` bytes were dropped, or reading fails; each of them ends the lingering.
fn drop_incoming<S: AsyncRead + Unpin>(stream: &mut S, left: &mut usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut scratch = [0_u8; 16 * 1024];
    while *left > 0 {
        let mut buffer = ReadBuf::new(&mut scratch);
        match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                *left = left.saturating_sub(buffer.filled().len());
            }
            // The caller closed the connection, or is gone: no answer can reach it.
            Ok(()) | Err(_) => break,
        }
    }
    Poll::Ready(Ok(()))
}
