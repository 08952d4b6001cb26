//! One request to one server, once. Its [`Failure`] says whether the request may have been done.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, body::Incoming};
use tokio::time::{Instant, timeout_at};

use etebar_api as api;

use crate::call::Call;
use crate::call::answer::{Failure, RawAnswer};
use crate::client::Client;
use crate::outcome::request_id;
use crate::outcome::stopwatch::Stopwatch;
use crate::pool::server::{Sender, Server};

/// Largest answer that is read. Source: a batch of 8,000 results and a page of 1,000 entries stay below 8 MiB.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

impl Client {
    /// Sends `call` once to server `index` (modulo their number) and waits at most `timeout` for the whole answer.
    pub async fn attempt(&self, index: usize, call: &Call, timeout: Duration) -> Result<RawAnswer, Failure> {
        let id = request_id::generate();
        let answer = self.exchange(index, call, timeout, &id).await?;
        if request_id::is_for_another_attempt(&answer, &id) {
            return Err(Failure::Broken("the answer is one to another request".to_owned()));
        }
        Ok(answer)
    }

    async fn exchange(
        &self,
        index: usize,
        call: &Call,
        timeout: Duration,
        id: &HeaderValue,
    ) -> Result<RawAnswer, Failure> {
        let index = index % self.servers.len();
        let server = &self.servers[index];
        let (started, deadline) = (Stopwatch::start(), Instant::now() + timeout);
        let mut request = self.request(server, call, id)?;
        if let Some(sender) = server.idle() {
            match exchange(server, index, sender, request, (deadline, timeout)).await {
                Exchange::Answered(answer) => return Ok(answer),
                Exchange::Failed(failure) => return Err(failure),
                // The server closed it while it was idle: nothing was sent.
                Exchange::NotSent(back) => request = *back,
            }
        }
        let sender = match timeout_at(deadline, server.connect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(no_connection_in_time(server)),
        };
        // The machine may have slept meanwhile: an attempt that is too late is not sent.
        if started.elapsed() >= timeout {
            return Err(no_connection_in_time(server));
        }
        match exchange(server, index, sender, request, (deadline, timeout)).await {
            Exchange::Answered(answer) => Ok(answer),
            Exchange::Failed(failure) => Err(failure),
            Exchange::NotSent(_) => Err(Failure::Unreachable(format!("{}: closed at once", server.authority()))),
        }
    }

    pub(super) fn request(
        &self,
        server: &Server,
        call: &Call,
        id: &HeaderValue,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let request = Request::builder().method(&call.method).uri(&call.path);
        let mut request = request.header(header::HOST, server.host()).header(api::REQUEST_ID, id);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(traceparent) = &self.traceparent {
            request = request.header(api::TRACEPARENT, traceparent);
        }
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let body = Full::new(call.body.clone().unwrap_or_default());
        request.body(body).map_err(|error| Failure::Unreachable(format!("not a request: {error}")))
    }
}

fn no_connection_in_time(server: &Server) -> Failure {
    Failure::Unreachable(format!("{}: no connection in time", server.authority()))
}

enum Exchange {
    Answered(RawAnswer),
    Failed(Failure),
    /// The connection was closed before anything was written; the request comes back.
    NotSent(Box<Request<Full<Bytes>>>),
}

async fn exchange(
    server: &Server,
    index: usize,
    mut sender: Sender,
    request: Request<Full<Bytes>>,
    (deadline, timeout): (Instant, Duration),
) -> Exchange {
    let response = match timeout_at(deadline, sender.try_send_request(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(mut error)) => {
            return match error.take_message() {
                Some(request) => Exchange::NotSent(Box::new(request)),
                None => Exchange::Failed(Failure::Broken(reason(error.error()))),
            };
        }
        Err(_) => return Exchange::Failed(Failure::TimedOut(timeout)),
    };
    match timeout_at(deadline, read_answer(response)).await {
        Ok(Ok((status, headers, body))) => {
            if timeout_at(deadline, sender.ready()).await.is_ok_and(|ready| ready.is_ok()) {
                server.keep(sender);
            }
            Exchange::Answered(RawAnswer { status, headers, body, server: index })
        }
        Ok(Err(failure)) => Exchange::Failed(failure),
        Err(_) => Exchange::Failed(Failure::TimedOut(timeout)),
    }
}

pub(super) async fn read_answer(response: Response<Incoming>) -> Result<(u16, HeaderMap, Bytes), Failure> {
    let (parts, body) = response.into_parts();
    let collected = Limited::new(body, ANSWER_BYTES).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Failure::Broken(format!("the answer is over {ANSWER_BYTES} bytes"));
        }
        Failure::Broken(error.to_string())
    })?;
    Ok((parts.status.as_u16(), parts.headers, collected.to_bytes()))
}

/// An error and what caused it, on one line.
pub(super) fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
