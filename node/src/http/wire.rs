//! One connection's bytes on their way: it knows how far a request has come, and lingers before it closes.
//!
//! A socket that is closed with unread bytes is reset, and the reset may overtake the answer. So where a body was not
//! read, closing means: send the end, then read and drop what still comes, up to a bound, and close after that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How far the connection's current request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// No byte of the next request has come.
    Idle = 0,
    /// Some of its head has come.
    Head = 1,
    /// Its head was read; it is being answered.
    Request = 2,
    /// Its head could not be read and was answered without a look at it.
    Refused = 3,
}

/// Shared by the wire, the service and the watch over one connection; all of them run in one task.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    requests: AtomicU32,
    unread: AtomicBool,
}

impl Progress {
    /// How far the current request has come.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Request,
            _ => Phase::Refused,
        }
    }

    /// Phase and number of the request: two equal values mean that nothing has begun or ended between.
    pub fn mark(&self) -> (u32, Phase) {
        (self.requests.load(Ordering::Relaxed), self.phase())
    }

    /// A head was read; `body` says whether a body follows it.
    pub fn head_read(&self, body: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.unread.store(body, Ordering::Relaxed);
        self.set(Phase::Request);
    }

    /// The body came to its end.
    pub fn body_read(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    /// Whether some of the last request's body was left where it was.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The request was answered.
    pub fn answered(&self) {
        self.set(Phase::Idle);
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn bytes_came(&self) {
        if self.phase() == Phase::Idle {
            self.set(Phase::Head);
        }
    }

    fn bytes_went(&self) {
        if self.phase() == Phase::Head {
            self.set(Phase::Refused);
        }
    }

    fn lingers(&self) -> bool {
        self.is_unread() || matches!(self.phase(), Phase::Head | Phase::Refused)
    }
}

/// A request's body that reports its end to a [`Progress`].
pub struct Inbound {
    /// The body.
    pub incoming: Incoming,
    /// Who is told.
    pub progress: Arc<Progress>,
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

/// A stream that reports to a [`Progress`] and closes without a reset.
pub struct Wire<S> {
    stream: S,
    progress: Arc<Progress>,
    linger_for: Duration,
    left: usize,
    closing: Option<Closing>,
}

enum Closing {
    Ending,
    Dropping(Pin<Box<Sleep>>),
}

impl<S> Wire<S> {
    /// `linger_bytes` and `linger_for` bound what is read and dropped at the end.
    pub fn new(stream: S, progress: Arc<Progress>, linger_bytes: usize, linger_for: Duration) -> Self {
        Self { stream, progress, linger_for, left: linger_bytes, closing: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.progress.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.progress.bytes_went();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.progress.bytes_went();
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                None => this.closing = Some(Closing::Ending),
                Some(Closing::Ending) => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    if !this.progress.lingers() {
                        return Poll::Ready(Ok(()));
                    }
                    let end = Instant::now() + this.linger_for;
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

/// Reads and drops until the caller ends, `left` bytes were dropped, or reading fails; each of them ends the lingering.
fn drop_incoming<S: AsyncRead + Unpin>(stream: &mut S, left: &mut usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut scratch = [0_u8; 16 * 1024];
    while *left > 0 {
        let mut buffer = ReadBuf::new(&mut scratch);
        match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                *left = left.saturating_sub(buffer.filled().len());
            }
            // The end, or a caller that is gone: there is nobody left to tell.
            Ok(()) | Err(_) => break,
        }
    }
    Poll::Ready(Ok(()))
}
