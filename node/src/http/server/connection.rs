//! One connection from its first byte to its last: hyper reads and writes HTTP/1, this enforces the time-outs and the
//! shutdown.
//!
//! hyper's own time-out for a head also ends idle connections, and sends no answer. Here a head has its few seconds from
//! its first byte on, and a late one gets a 408 without a body. A new connection has as long for its first byte, and one
//! that is idle between two requests has longer; both are closed without an answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::debug;

use super::wire::{Outbound, Phase, RequestProgress, Wire};
use crate::http::app::App;
use crate::http::limits::Limits;

/// The answer to a head that did not arrive in time.
const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// The answer to a head that hyper could not read and did not answer either, such as HTTP/2's, or one that broke off.
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// Largest piece of a request that hyper holds at once, in bytes: twice the head's bound.
const BUFFER_FACTOR: usize = 2;

/// How far the shutdown has come; it only advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// All is served.
    Serving = 0,
    /// All is served, and each answer is its connection's last, so that callers move to other nodes by themselves.
    Closing = 1,
    /// Requests in flight are answered, and no others.
    Stopping = 2,
    /// Requests still in flight are answered that the node is shutting down.
    Late = 3,
    /// Nothing is served.
    Ended = 4,
}

/// The stage, and a notification of the next one: for many connections, each of which looks at it on every wake, so it
/// takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    stage: AtomicU8,
    advanced: Notify,
}

impl Shutdown {
    /// The stage now.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Closing,
            2 => Stage::Stopping,
            3 => Stage::Late,
            _ => Stage::Ended,
        }
    }

    /// Advances to a stage, and wakes all that wait.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.advanced.notify_waiters();
    }

    /// Completes at the next advance. To miss none: create the future and poll it once, then read the stage.
    pub(crate) fn advanced(&self) -> Notified<'_> {
        self.advanced.notified()
    }

    /// Waits until no new request is served.
    pub(crate) async fn stopping(&self) {
        loop {
            let mut advanced = pin!(self.advanced());
            advanced.as_mut().enable();
            if self.stage() >= Stage::Stopping {
                return;
            }
            advanced.await;
        }
    }
}

/// Serves one connection until it ends, idles too long, sends a head too slowly, or the shutdown ends it.
pub(crate) async fn serve_connection<S, F, A>(stream: S, app: App, shutdown: Arc<Shutdown>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>, Arc<RequestProgress>) -> A,
    A: Future<Output = Response<Body>>,
{
    let progress = Arc::new(RequestProgress::default());
    let (limits, instruments) = (app.limits, Arc::clone(&app.instruments));
    let wire = Wire::new(stream, Arc::clone(&progress), app);
    let service = {
        let progress = Arc::clone(&progress);
        service_fn(move |request: Request<Incoming>| {
            let progress = Arc::clone(&progress);
            progress.head_read(!hyper::body::Body::is_end_stream(request.body()));
            let answer = answer(request, Arc::clone(&progress));
            let instruments = Arc::clone(&instruments);
            async move {
                let in_flight = instruments.begin();
                let response = answer.await;
                in_flight.answered(response.status().as_u16());
                progress.answered(hyper::body::Body::size_hint(response.body()).exact().is_none());
                Ok::<_, std::convert::Infallible>(response.map(|body| Outbound { body, progress }))
            }
        })
    };
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .half_close(true)
        .max_headers(limits.head_fields)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes * BUFFER_FACTOR)
        .serve_connection(TokioIo::new(wire), service);

    let mut advanced = pin!(shutdown.advanced());
    let mut seen = None;
    let mut timer = Timer::new(&progress, &limits);
    let end = poll_fn(|cx| {
        // Registered once a stage, not once a wake: the task that is woken stays the same.
        while seen != Some(shutdown.stage()) {
            seen = Some(shutdown.stage());
            advanced.set(shutdown.advanced());
            let _ = advanced.as_mut().poll(cx);
        }
        match seen {
            Some(Stage::Stopping | Stage::Late) => Pin::new(&mut connection).graceful_shutdown(),
            Some(Stage::Ended) => return Poll::Ready(ConnectionEnd::Stopped),
            Some(Stage::Serving | Stage::Closing) | None => {}
        }
        match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(result) => Poll::Ready(ConnectionEnd::Over(result)),
            Poll::Pending => timer.poll_late(cx).map(|()| ConnectionEnd::Late),
        }
    })
    .await;

    let Some(bare) = bare_answer(end, progress.phase()) else { return };
    let mut wire = connection.into_parts().io.into_inner();
    wire.answer_bare(bare);
    // Lingering is bounded, but the last write may wait for a caller that reads nothing.
    match timeout(limits.linger * 2, wire.shutdown()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "connection failed before its last answer was sent"),
        Err(_elapsed) => debug!("connection timed out before its last answer was sent"),
    }
}

/// The answer to a head that ended the connection.
fn bare_answer(end: ConnectionEnd, phase: Phase) -> Option<&'static [u8]> {
    match (end, phase) {
        (ConnectionEnd::Late, Phase::Head) => Some(REQUEST_TIMEOUT),
        (ConnectionEnd::Over(Err(error)), Phase::New | Phase::Head | Phase::Idle)
            if error.is_parse() || error.is_incomplete_message() =>
        {
            Some(BAD_REQUEST)
        }
        (ConnectionEnd::Over(Err(error)), _) => {
            debug!(%error, "connection failed");
            None
        }
        (ConnectionEnd::Over(Ok(())) | ConnectionEnd::Late | ConnectionEnd::Stopped, _) => None,
    }
}

enum ConnectionEnd {
    Over(hyper::Result<()>),
    Late,
    Stopped,
}

/// The time-out of what one connection does now.
struct Timer<'a> {
    progress: &'a RequestProgress,
    limits: &'a Limits,
    mark: (u32, Phase),
    due: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl<'a> Timer<'a> {
    fn new(progress: &'a RequestProgress, limits: &'a Limits) -> Self {
        let due = Instant::now() + limits.head;
        Self { progress, limits, mark: progress.mark(), due: Some(due), sleep: Box::pin(sleep_until(due)) }
    }

    /// Ready where the connection has taken too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.progress.mark() != self.mark {
            self.mark = self.progress.mark();
            self.due = self.due_in(self.mark.1);
            // Only ever moved forward; where it fires too early, it is set again below. So a busy connection pays nothing.
            if let Some(due) = self.due.filter(|due| *due < self.sleep.deadline()) {
                self.sleep.as_mut().reset(due);
            }
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            match self.due {
                Some(due) if due <= now => return Poll::Ready(()),
                Some(due) => self.sleep.as_mut().reset(due),
                None => self.sleep.as_mut().reset(now + self.limits.idle),
            }
        }
        Poll::Pending
    }

    fn due_in(&self, phase: Phase) -> Option<Instant> {
        match phase {
            Phase::Answer if self.progress.is_in_pieces() => Some(Instant::now() + self.limits.stalled),
            Phase::Idle | Phase::Answer | Phase::Refused => Some(Instant::now() + self.limits.idle),
            Phase::New | Phase::Head => Some(Instant::now() + self.limits.head),
            // Every handler ends by its own deadline.
            Phase::Request => None,
        }
    }
}
