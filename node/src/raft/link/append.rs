//! Append sessions: requests in order on one connection, answers in the same order, many on their way at once.
//!
//! Invariant: a connection goes back for the next session only when all that was sent is answered; after a conflict,
//! a higher vote or an error it is dropped, because what is still on its way belongs to another story.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::call::Peer;
use super::frame::LinkError;
use super::hello::{Connection, Purpose};
use crate::storage::types::TypeConfig;

/// Requests sent and not yet answered, at most: the receiving side queues 64.
const IN_FLIGHT: usize = 64;

/// A request on its way in.
pub type Append = AppendEntriesRequest<TypeConfig>;
/// The answer to a request: the last log id that the peer now has, a conflict, or a higher vote.
pub type Appended = StreamAppendResult<TypeConfig>;

/// The connection of one replication or heartbeat stream, kept from session to session.
#[derive(Debug)]
pub struct AppendLink {
    peer: Peer,
    idle: Option<Connection>,
}

impl AppendLink {
    /// Not connected yet.
    pub fn new(peer: Peer) -> Self {
        Self { peer, idle: None }
    }

    /// Sends all of `input` and yields an answer for each; `dial_within` bounds connecting, `answer_within` each answer.
    pub fn session<'a, S>(
        &'a mut self,
        input: S,
        dial_within: Duration,
        answer_within: Duration,
    ) -> impl Stream<Item = Result<Appended, LinkError>> + Send + 'a
    where
        S: Stream<Item = Append> + Send + Unpin + 'a,
    {
        let connection = self.idle.take();
        let session = Session {
            link: self,
            connection,
            input: Box::pin(input),
            input_ended: false,
            unanswered: VecDeque::new(),
            dial_within,
            answer_within,
        };
        stream::unfold(Some(session), |session| async move {
            let mut session = session?;
            match session.next_answer().await {
                Ok(Some(Ok(matched))) => Some((Ok(Ok(matched)), Some(session))),
                Ok(Some(Err(turned_down))) => Some((Ok(Err(turned_down)), None)),
                Ok(None) => {
                    session.link.idle = session.connection.take();
                    None
                }
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

struct Session<'a, S> {
    link: &'a mut AppendLink,
    connection: Option<Connection>,
    input: Pin<Box<S>>,
    input_ended: bool,
    /// When each unanswered request was sent.
    unanswered: VecDeque<Instant>,
    dial_within: Duration,
    answer_within: Duration,
}

enum Event {
    Request(Option<Append>),
    Answer(Result<Appended, LinkError>),
    Late,
}

impl<S: Stream<Item = Append> + Send + Unpin> Session<'_, S> {
    /// The next answer; `None` when the input has ended and all of it is answered.
    async fn next_answer(&mut self) -> Result<Option<Appended>, LinkError> {
        loop {
            if self.input_ended && self.unanswered.is_empty() {
                return Ok(None);
            }
            match self.next_event().await {
                Event::Request(None) => self.input_ended = true,
                // The input is taken before dialling: openraft's back-off sleeps inside it, and a dial that fails
                // without having waited there would be tried again at once, for ever.
                Event::Request(Some(request)) => self.send(&request).await?,
                Event::Answer(Ok(answer)) => {
                    self.unanswered.pop_front();
                    return Ok(Some(answer));
                }
                // The peer may hang up an idle connection; the next request dials again.
                Event::Answer(Err(_)) if self.unanswered.is_empty() => self.connection = None,
                Event::Answer(Err(error)) => return Err(error),
                Event::Late => return Err(LinkError::TimedOut),
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let takes_input = !self.input_ended && self.unanswered.len() < IN_FLIGHT;
        let late = self.unanswered.front().map(|sent| *sent + self.answer_within);
        let answer = async {
            match &mut self.connection {
                Some(connection) => connection.receiver.receive::<Appended>().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => Event::Answer(answer),
            request = self.input.next(), if takes_input => Event::Request(request),
            () = sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => Event::Late,
        }
    }

    async fn send(&mut self, request: &Append) -> Result<(), LinkError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let deadline = Instant::now() + self.dial_within;
                self.connection.insert(self.link.peer.dial(Purpose::Append, deadline).await?)
            }
        };
        let deadline = Instant::now() + self.answer_within;
        timeout_at(deadline, connection.sender.send(request)).await.map_err(|_elapsed| LinkError::TimedOut)??;
        self.unanswered.push_back(Instant::now());
        Ok(())
    }
}
