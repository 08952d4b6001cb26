//! An answer of any length, as it arrives: one request to one server, whose connection serves nothing else and ends with it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use tokio::time::timeout;

use super::attempt::{read_answer, reason};
use crate::call::Call;
use crate::call::answer::{Failure, RawAnswer};
use crate::client::Client;
use crate::outcome::meaning::{Meaning, is_from_node, meaning};
use crate::outcome::request_id;

/// What a server answered to a download.
#[derive(Debug)]
pub enum Opened {
    /// A node sends it.
    Stream(Download),
    /// A node refused it, permanently or for now; or it is no node's answer. Never [`Meaning::Done`].
    Answer(Meaning<()>),
}

/// An answer that is arriving. Dropping it closes the connection.
#[derive(Debug)]
pub struct Download {
    headers: HeaderMap,
    body: Incoming,
}

impl Download {
    /// A header's value; `None` where it is absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next bytes; `None` after the last ones, where the server said that there are no more.
    ///
    /// # Errors
    /// Where the connection breaks, or nothing arrives for `silence`.
    pub async fn next(&mut self, silence: Duration) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = timeout(silence, self.body.frame()).await.map_err(|_elapsed| Failure::TimedOut(silence))?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| Failure::Broken(reason(&error)))?;
            // Trailers are no part of it.
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

impl Client {
    /// Sends `call` once to server `index` (modulo their number), whose answer has to begin within `wait` and to be of this
    /// media type.
    ///
    /// # Errors
    /// Where no answer begins.
    pub async fn open_download(
        &self,
        index: usize,
        call: &Call,
        media_type: &str,
        wait: Duration,
    ) -> Result<Opened, Failure> {
        let index = index % self.servers.len();
        let server = &self.servers[index];
        let id = request_id::generate();
        let request = self.request(server, call, &id)?;
        let opening = async {
            let mut sender = server.connect().await?;
            sender.send_request(request).await.map_err(|error| Failure::Broken(reason(&error)))
        };
        let response = timeout(wait, opening).await.map_err(|_elapsed| Failure::TimedOut(wait))??;
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if response.status() == 200 && header("content-type") == Some(media_type) && is_from_node(&headers) {
            return Ok(Opened::Stream(Download { headers, body: response.into_body() }));
        }
        let reading = timeout(wait, read_answer(response)).await.map_err(|_elapsed| Failure::TimedOut(wait))?;
        let (status, headers, body) = reading?;
        let answer = RawAnswer { status, headers, body, server: index };
        Ok(Opened::Answer(meaning(call, &answer, |_| Err("the answer is not what was asked for".to_owned()))))
    }
}
