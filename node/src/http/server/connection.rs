//! One connection from its first byte to its last: hyper reads and writes HTTP/1, this watches the time.
//!
//! hyper's own head time-out also ends connections that merely rest, and says nothing to the caller. Here a head has
//! its few seconds from its first byte on and ends with a bare 408. A new connection has as long for its first byte, and
//! one that rests between two requests has longer; both end silently.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::debug;

use super::shutdown::{Shutdown, Stage};
use super::wire::{Outbound, Phase, Progress, Wire};
use crate::http::app::App;
use crate::http::limits::Limits;

/// The answer to a head that did not come in time.
const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// The answer to a head that hyper could not read and did not answer either, such as HTTP/2's, or one that broke off.
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// Largest piece of a request that hyper holds at once, in bytes: twice the head's bound.
const BUFFER_FACTOR: usize = 2;

/// Serves one connection until it ends, rests too long, sends its head too slowly, or `stop` has come so far.
pub async fn serve_connection<S, F, A>(stream: S, app: App, stop: Arc<Shutdown>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>, Arc<Progress>) -> A,
    A: Future<Output = Response<Body>>,
{
    let progress = Arc::new(Progress::default());
    let limits = app.limits;
    let wire = Wire::new(stream, Arc::clone(&progress), app);
    let service = {
        let progress = Arc::clone(&progress);
        service_fn(move |request: Request<Incoming>| {
            let progress = Arc::clone(&progress);
            progress.head_read(!hyper::body::Body::is_end_stream(request.body()));
            let answer = answer(request, Arc::clone(&progress));
            async move {
                let response = answer.await;
                progress.answered();
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

    let mut moved = pin!(stop.moved());
    let mut told = None;
    let mut watch = Watch::new(&progress, &limits);
    let end = poll_fn(|cx| {
        // Waited for once a stage, not once a wake: the task that is woken stays the same.
        while told != Some(stop.stage()) {
            told = Some(stop.stage());
            moved.set(stop.moved());
            let _ = moved.as_mut().poll(cx);
        }
        match told {
            Some(Stage::Stopping | Stage::Late) => Pin::new(&mut connection).graceful_shutdown(),
            Some(Stage::Ended) => return Poll::Ready(End::Stopped),
            Some(Stage::Serving | Stage::Closing) | None => {}
        }
        match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(result) => Poll::Ready(End::Over(result)),
            Poll::Pending => watch.poll_late(cx).map(|()| End::Late),
        }
    })
    .await;

    let bare = match (end, progress.phase()) {
        (End::Late, Phase::Head) => REQUEST_TIMEOUT,
        (End::Over(Err(error)), Phase::New | Phase::Head | Phase::Idle)
            if error.is_parse() || error.is_incomplete_message() =>
        {
            BAD_REQUEST
        }
        (End::Over(Err(error)), _) => return debug!(%error, "connection ended"),
        (End::Over(Ok(())) | End::Late | End::Stopped, _) => return,
    };
    let mut wire = connection.into_parts().io.into_inner();
    wire.answer_bare(bare);
    // The end lingers for a bounded time, but may wait for a caller that takes in nothing.
    match timeout(limits.linger * 2, wire.shutdown()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "connection ended before its head did"),
        Err(_elapsed) => debug!("connection ended before its last answer was sent"),
    }
}

enum End {
    Over(hyper::Result<()>),
    Late,
    Stopped,
}

/// Watches the time of one connection.
struct Watch<'a> {
    progress: &'a Progress,
    limits: &'a Limits,
    mark: (u32, Phase),
    due: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl<'a> Watch<'a> {
    fn new(progress: &'a Progress, limits: &'a Limits) -> Self {
        let due = Instant::now() + limits.head;
        Self { progress, limits, mark: progress.mark(), due: Some(due), sleep: Box::pin(sleep_until(due)) }
    }

    /// Ready where the connection took too long with what it does now.
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
            Phase::Idle | Phase::Answer | Phase::Refused => Some(Instant::now() + self.limits.idle),
            Phase::New | Phase::Head => Some(Instant::now() + self.limits.head),
            // A request bounds itself: every handler ends by its own deadline.
            Phase::Request => None,
        }
    }
}
