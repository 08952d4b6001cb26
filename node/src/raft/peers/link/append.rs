//! Append sessions: requests in order on one connection, answers in the same order, many on their way at once.
//!
//! Invariant: answers are taken in the order of their requests. A session that is dropped early leaves its answers outstanding,
//! and the next one skips them: to dial again for each heartbeat that was late would make a slow peer slower. After a
//! conflict, a higher vote or an error the connection is dropped: what is still on its way is of no use.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::call::{DIAL, Peer};
use super::error::LinkError;
use super::hello::Connection;
use super::message::Purpose;
use super::message::raft::{Append, Appended, PlainAppend, PlainAppended};
use crate::runtime;

/// Requests sent and not yet answered, at most: the receiving side queues 64.
const IN_FLIGHT: usize = 64;

/// The connection of one replication or heartbeat stream, kept from session to session.
#[derive(Debug)]
pub struct AppendLink {
    peer: Peer,
    kept: Option<Kept>,
    /// A connection on its way, which outlives the session that began it: a handshake may take longer than a heartbeat is
    /// given, and one that began anew with each would never end.
    dialling: Option<oneshot::Receiver<Result<Connection, LinkError>>>,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    /// When each request was sent that is not answered yet.
    unanswered: VecDeque<Instant>,
}

impl AppendLink {
    /// The connection on its way, or a new one, waited for until `deadline`.
    async fn connect(&mut self, deadline: Instant) -> Result<Connection, LinkError> {
        let dialling = self.dialling.get_or_insert_with(|| {
            let (peer, (done, dialling)) = (self.peer.clone(), oneshot::channel());
            runtime::spawn(async move {
                let dialled = peer.dial(Purpose::Append, Instant::now() + DIAL).await;
                // The session that began it may be gone.
                drop(done.send(dialled));
            });
            dialling
        });
        let dialled = timeout_at(deadline, dialling).await.map_err(|_elapsed| LinkError::TimedOut)?;
        self.dialling = None;
        dialled.map_err(|_gone| LinkError::Closed)?
    }

    /// Not connected yet.
    pub fn new(peer: Peer) -> Self {
        Self { peer, kept: None, dialling: None }
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
        let owed = self.kept.as_ref().map_or(0, |kept| kept.unanswered.len());
        let input = Box::pin(input);
        let session = Session { link: self, input, input_ended: false, owed, dial_within, answer_within };
        stream::unfold(Some(session), |session| async move {
            let mut session = session?;
            let answer = session.next_answer().await;
            match answer {
                Ok(None) => None,
                Ok(Some(Ok(matched))) => Some((Ok(Ok(matched)), Some(session))),
                Ok(Some(Err(turned_down))) => {
                    session.link.kept = None;
                    Some((Ok(Err(turned_down)), None))
                }
                Err(error) => {
                    session.link.kept = None;
                    Some((Err(error), None))
                }
            }
        })
    }
}

struct Session<'a, S> {
    link: &'a mut AppendLink,
    input: Pin<Box<S>>,
    input_ended: bool,
    /// Answers that still come for the sessions before.
    owed: usize,
    dial_within: Duration,
    answer_within: Duration,
}

enum SessionEvent {
    Request(Option<Append>),
    Answer(Result<Appended, LinkError>),
    Late,
}

impl<S: Stream<Item = Append> + Send + Unpin> Session<'_, S> {
    fn unanswered(&self) -> usize {
        self.link.kept.as_ref().map_or(0, |kept| kept.unanswered.len())
    }

    /// The next answer; `None` when the input has ended and all of it is answered.
    async fn next_answer(&mut self) -> Result<Option<Appended>, LinkError> {
        loop {
            if self.input_ended && self.unanswered() == self.owed {
                return Ok(None);
            }
            match self.next_event().await {
                SessionEvent::Request(None) => self.input_ended = true,
                // The input is taken before dialling: openraft's back-off sleeps inside it, and a dial that fails
                // without having waited there would be tried again at once, without end.
                SessionEvent::Request(Some(request)) => self.send(&request).await?,
                SessionEvent::Answer(Ok(answer)) => {
                    if let Some(kept) = &mut self.link.kept {
                        kept.unanswered.pop_front();
                    }
                    if self.owed == 0 {
                        return Ok(Some(answer));
                    }
                    self.owed -= 1;
                }
                // The peer may close the connection while nothing of this session is in flight; the next request dials
                // again.
                SessionEvent::Answer(Err(_)) if self.unanswered() == self.owed => {
                    self.link.kept = None;
                    self.owed = 0;
                }
                SessionEvent::Answer(Err(error)) => return Err(error),
                SessionEvent::Late => return Err(LinkError::TimedOut),
            }
        }
    }

    async fn next_event(&mut self) -> SessionEvent {
        let takes_input = !self.input_ended && self.unanswered() < IN_FLIGHT;
        let kept = self.link.kept.as_mut();
        let oldest = kept.as_ref().and_then(|kept| kept.unanswered.front());
        let late = oldest.map(|sent| *sent + self.answer_within);
        let answer = async {
            match kept {
                Some(kept) => kept.connection.receiver.receive::<PlainAppended>().await.map(Appended::from),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => SessionEvent::Answer(answer),
            request = self.input.next(), if takes_input => SessionEvent::Request(request),
            () = sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => SessionEvent::Late,
        }
    }

    async fn send(&mut self, request: &Append) -> Result<(), LinkError> {
        let kept = if let Some(kept) = &mut self.link.kept {
            kept
        } else {
            let connection = self.link.connect(Instant::now() + self.dial_within).await?;
            self.link.kept.insert(Kept { connection, unanswered: VecDeque::new() })
        };
        let deadline = Instant::now() + self.answer_within;
        let sender = &mut kept.connection.sender;
        timeout_at(deadline, sender.feed(&PlainAppend::from(request)))
            .await
            .map_err(|_elapsed| LinkError::TimedOut)??;
        // Counted before it is flushed: dropped in between, it would go out with the next session.
        kept.unanswered.push_back(Instant::now());
        timeout_at(deadline, sender.flush()).await.map_err(|_elapsed| LinkError::TimedOut)?
    }
}
