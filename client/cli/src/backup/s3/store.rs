//! A bucket of S3-compatible storage: signed requests, each with bounded attempts, and objects that are read as they arrive.

use std::time::Duration;

use bytes::Bytes;
use etebar::Failure;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Response};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tokio::time::sleep;

use super::place::Place;
use super::refusal::{Refusal, StorageError};
use super::wire::{self, Request, Wire};
use crate::arguments::Storage;
use crate::output::error::CliError;

/// How long a signature is good for. Source: an attempt ends sooner, also with the largest part over a slow link.
const SIGNED_FOR: Duration = Duration::from_hours(6);
/// Longest wait for an answer, besides the time that the body takes.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Longest wait for a multipart upload to be put together, which storage does at once and may take minutes for.
const COMPLETE_WAIT: Duration = Duration::from_mins(5);
/// The slowest link that is waited for, in bytes a second.
const SLOWEST: u64 = 64 << 10;
/// Attempts at a request, or at reading on, until it is given up.
const ATTEMPTS: u32 = 8;
/// Pauses between two attempts: the first, doubled up to the last; 13 s in all.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(4));

/// An answer that was read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> Result<&str, CliError> {
        std::str::from_utf8(&self.body).map_err(|_| CliError::local("the storage answers what is no text"))
    }

    /// A header's value, where it is visible ASCII.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Store {
    wire: Wire,
    pub(super) bucket: Bucket,
    pub(super) credentials: Credentials,
    /// The endpoint, for messages.
    pub(super) shown: String,
}

impl Store {
    /// As the options and the environment say.
    pub(super) fn new(storage: &Storage, place: &Place) -> Result<Store, CliError> {
        let credentials = Credentials::from_env().ok_or_else(|| {
            CliError::usage(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment to the storage's credentials",
            )
        })?;
        let region = storage.region.clone();
        // A name with dots is no name of AWS's certificate.
        let style = match storage.endpoint {
            None if !place.bucket.contains('.') => UrlStyle::VirtualHost,
            None | Some(_) => UrlStyle::Path,
        };
        let shown = storage.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let wrong = |why: String| CliError::usage(format!("{shown:?} is no URL of a storage: {why}"));
        let endpoint = shown.parse().map_err(|error| wrong(format!("{error}")))?;
        let bucket =
            Bucket::new(endpoint, style, place.bucket.clone(), region).map_err(|error| wrong(error.to_string()))?;
        let base = bucket.base_url();
        let host = base.host_str().ok_or_else(|| wrong("it has no host".to_owned()))?;
        let named = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let dialled = format!("{}://{host}:{}", base.scheme(), base.port_or_known_default().unwrap_or(443));
        let wire = Wire::new(&dialled, &named, storage.ca.as_deref())?;
        // Without the user and the password that somebody may have put there.
        let shown = format!("{}://{}", base.scheme(), named);
        Ok(Store { wire, bucket, credentials, shown })
    }

    /// The failure of what was asked for.
    pub(super) fn failed(&self, what: &str, error: StorageError) -> CliError {
        error.explained(&self.shown, self.bucket.name(), what)
    }

    /// Sends a request, made anew for each attempt, until it is answered with a success.
    pub(super) async fn ask(&self, make: impl Fn() -> Request) -> Result<Answer, StorageError> {
        let (mut pause, mut attempts) = (PAUSES.0, 1);
        loop {
            let why = match self.once(make()).await {
                Err(StorageError::Unavailable { attempts: _, why }) => why,
                done => return done,
            };
            if attempts == ATTEMPTS {
                return Err(StorageError::Unavailable { attempts, why });
            }
            sleep(pause).await;
            (pause, attempts) = ((pause * 2).min(PAUSES.1), attempts + 1);
        }
    }

    async fn once(&self, request: Request) -> Result<Answer, StorageError> {
        let posts = request.method == Method::POST;
        let sending = Duration::from_secs(request.body.len() as u64 / SLOWEST);
        let wait = if posts { COMPLETE_WAIT } else { ANSWER_WAIT } + sending;
        let answer = self.wire.send(request, wait).await.map_err(unavailable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = wire::body(answer, wait).await.map_err(unavailable)?;
        // An upload that could not be put together is answered with 200, since that is known late.
        let is_done = status.is_success() && !(posts && body.windows(7).any(|bytes| bytes == b"<Error>"));
        if is_done { Ok(Answer { headers, body }) } else { Err(refused(status.as_u16(), &body)) }
    }

    /// A small object; `None` where there is none.
    pub(super) async fn small(&self, key: &str) -> Result<Option<Bytes>, CliError> {
        let action = self.bucket.get_object(Some(&self.credentials), key);
        match self.ask(|| signed(&action, Bytes::new())).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(StorageError::Refused(refusal)) if refusal.is_absent() => Ok(None),
            Err(error) => Err(self.failed(&format!("to read {key}"), error)),
        }
    }

    /// Writes a small object, whole or not at all.
    pub(super) async fn put(&self, key: &str, body: &Bytes) -> Result<(), CliError> {
        let action = self.bucket.put_object(Some(&self.credentials), key);
        let put = self.ask(|| signed(&action, body.clone())).await;
        put.map(drop).map_err(|error| self.failed(&format!("to write {key}"), error))
    }

    /// How many bytes an object has; `None` where there is none.
    pub(super) async fn length(&self, key: &str) -> Result<Option<u64>, CliError> {
        let action = self.bucket.head_object(Some(&self.credentials), key);
        match self.ask(|| signed(&action, Bytes::new())).await {
            Ok(answer) => Ok(answer.header("content-length").and_then(|length| length.parse().ok())),
            Err(StorageError::Refused(refusal)) if refusal.is_absent() => Ok(None),
            Err(error) => Err(self.failed(&format!("to look at {key}"), error)),
        }
    }

    /// Hands on the bytes of an object from byte `from` on, as they arrive; goes on where the connection breaks. Fails where it
    /// has another length than `bytes`.
    pub(super) async fn read(
        &self,
        key: &str,
        from: u64,
        bytes: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let what = format!("to read {key}");
        let other = |has: u64| CliError::Damaged(format!("{key} at {} has {has} bytes, not {bytes}", self.shown));
        let (mut at, mut pause, mut attempts) = (from, PAUSES.0, 1);
        while at < bytes {
            let before = at;
            let why;
            match self.open(key, at).await {
                Ok((_, Some(length))) if length != bytes => return Err(other(length)),
                Ok((mut body, _)) => loop {
                    match wire::next(&mut body, ANSWER_WAIT).await {
                        Ok(Some(piece)) => {
                            at += piece.len() as u64;
                            take(&piece)?;
                        }
                        Ok(None) if at == bytes => return Ok(()),
                        Ok(None) => return Err(other(at)),
                        Err(failure) => {
                            why = failure.to_string();
                            break;
                        }
                    }
                },
                Err(StorageError::Unavailable { attempts: _, why: said }) => why = said,
                Err(error) => return Err(self.failed(&what, error)),
            }
            if at > before {
                (pause, attempts) = (PAUSES.0, 0);
            }
            if attempts == ATTEMPTS {
                return Err(self.failed(&what, StorageError::Unavailable { attempts, why }));
            }
            sleep(pause).await;
            (pause, attempts) = ((pause * 2).min(PAUSES.1), attempts + 1);
        }
        Ok(())
    }

    /// An object from byte `from` on, and its whole length where the answer says it.
    async fn open(&self, key: &str, from: u64) -> Result<(Incoming, Option<u64>), StorageError> {
        let action = self.bucket.get_object(Some(&self.credentials), key);
        let mut request = signed(&action, Bytes::new());
        request.from = from;
        let answer: Response<Incoming> = self.wire.send(request, ANSWER_WAIT).await.map_err(unavailable)?;
        let status = answer.status().as_u16();
        if status == if from == 0 { 200 } else { 206 } {
            let header = |name: &str| answer.headers().get(name)?.to_str().ok();
            let length = match header("content-range") {
                Some(range) => range.rsplit_once('/').map(|(_, length)| length),
                None => header("content-length"),
            };
            let length = length.and_then(|length| length.parse().ok());
            return Ok((answer.into_body(), length));
        }
        let body = wire::body(answer, ANSWER_WAIT).await.map_err(unavailable)?;
        Err(refused(status, &body))
    }
}

/// A request that is signed now.
pub(super) fn signed<'a, A: S3Action<'a>>(action: &A, body: Bytes) -> Request {
    let url = action.sign(SIGNED_FOR);
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let method = match A::METHOD {
        rusty_s3::Method::Head => Method::HEAD,
        rusty_s3::Method::Get => Method::GET,
        rusty_s3::Method::Post => Method::POST,
        rusty_s3::Method::Put => Method::PUT,
        rusty_s3::Method::Delete => Method::DELETE,
    };
    Request { method, target, from: 0, body }
}

fn unavailable(failure: Failure) -> StorageError {
    match failure {
        Failure::Untrusted(why) => StorageError::Untrusted(why),
        Failure::Unreachable(_) | Failure::Broken(_) | Failure::TimedOut(_) => {
            StorageError::Unavailable { attempts: 1, why: failure.to_string() }
        }
    }
}

fn refused(status: u16, body: &[u8]) -> StorageError {
    let refusal = Refusal::read(status, body);
    if refusal.is_passing() {
        return StorageError::Unavailable { attempts: 1, why: refusal.said() };
    }
    StorageError::Refused(refusal)
}
