//! One request to the storage, once: a connection of its own, dialled and trusted as the client's own are.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use etebar::{Client, Endpoint, Failure};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::output::error::CliError;

/// Largest answer that is read at once, in bytes. Source: a list of 1,000 parts takes a third of it.
const ANSWER_BYTES: usize = 1 << 20;

/// A request that is signed.
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query. The query has the signature, so it is in no message.
    pub(super) target: String,
    /// The first byte that is wanted of an object.
    pub(super) from: u64,
    pub(super) body: Bytes,
}

/// The way to one host.
#[derive(Debug)]
pub(super) struct Wire {
    endpoint: Endpoint,
    host: HeaderValue,
}

impl Wire {
    /// The way to `scheme://host:port`, which requests name as `host`.
    pub(super) fn new(url: &str, host: &str, authority: Option<&Path>) -> Result<Wire, CliError> {
        let mut client = Client::new([url])?;
        if let Some(file) = authority {
            client = client.with_authority(file).map_err(|error| CliError::usage(format!("--s3-ca: {error}")))?;
        }
        let host = HeaderValue::from_str(host).map_err(|_| CliError::usage(format!("{host:?} is no host")))?;
        Ok(Wire { endpoint: client.node_endpoint(url)?, host })
    }

    /// Sends it, and waits at most so long for the answer to begin.
    pub(super) async fn send(&self, request: Request, wait: Duration) -> Result<Response<Incoming>, Failure> {
        let opening = async {
            let stream = self.endpoint.dial().await?;
            let broken = |error: hyper::Error| Failure::Broken(reason(&error));
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
            // Its error, if any, also reaches the request, which reports it.
            tokio::spawn(async move { drop(connection.await) });
            sender.send_request(self.request(request)?).await.map_err(broken)
        };
        timeout(wait, opening).await.map_err(|_elapsed| Failure::TimedOut(wait))?
    }

    fn request(&self, request: Request) -> Result<hyper::Request<Full<Bytes>>, Failure> {
        let Request { method, target, from, body } = request;
        let sends = method == Method::PUT || method == Method::POST;
        let mut built = hyper::Request::builder().method(method).uri(target).header(header::HOST, &self.host);
        if sends {
            // Said for an empty one too, which S3 asks for.
            built = built.header(header::CONTENT_LENGTH, body.len());
        }
        if from > 0 {
            built = built.header(header::RANGE, format!("bytes={from}-"));
        }
        built.body(Full::new(body)).map_err(|error| Failure::Unreachable(format!("not a request: {error}")))
    }
}

/// The whole body of a small answer.
pub(super) async fn body(answer: Response<Incoming>, wait: Duration) -> Result<Bytes, Failure> {
    let reading = Limited::new(answer.into_body(), ANSWER_BYTES).collect();
    match timeout(wait, reading).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) => Err(Failure::Broken(error.to_string())),
        Err(_elapsed) => Err(Failure::TimedOut(wait)),
    }
}

/// The next bytes of an object; `None` after the last ones.
pub(super) async fn next(body: &mut Incoming, silence: Duration) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = timeout(silence, body.frame()).await.map_err(|_elapsed| Failure::TimedOut(silence))?;
        let Some(frame) = frame else { return Ok(None) };
        // Trailers are no part of it.
        if let Ok(bytes) = frame.map_err(|error| Failure::Broken(reason(&error)))?.into_data() {
            return Ok(Some(bytes));
        }
    }
}

fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
