//! The accepting side of the peer link: who is admitted, and who serves it.
//!
//! Bounds: connections before their hello and of each node ([`super::trust`]), time for the hello,
//! calls worked on at a time for each connection. Every request is checked against the current members.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use ledger::NodeNumber;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::error::LinkError;
use super::frame::{Receiver, Sender};
use super::hello::{Connection, PeerCaller, PeerMembership, Trust, answer};
use super::message::Purpose;
use super::message::join::JoinAnswer;
use super::message::raft::{Append, Appended, PlainAppend, PlainAppended};
use super::message::{Numbered, Request, Response};
use super::trust::pending::{PendingConnections, PendingSlot};
use crate::runtime;
use crate::runtime::log_throttle::LogThrottle;
use crate::runtime::net::{TcpListener, TcpStream};
use crate::storage::types::plain::NoMembers;

/// Longest time from accepting to the end of the hello.
const HELLO: Duration = Duration::from_secs(2);
/// Calls of one connection that are worked on at a time; more wait in the network.
const CALLS: usize = 4_096;
/// Longest time that an answer may take to be handed to the network.
const ANSWER: Duration = Duration::from_secs(5);
/// A session on which nothing came for so long is closed; the peer dials again when it has something to send.
const IDLE: Duration = Duration::from_mins(5);

/// What a node does for its peers.
pub trait Serve: Send + Sync + 'static {
    /// What a number is now.
    fn membership_of(&self, node: NodeNumber) -> PeerMembership;

    /// Answers one call.
    fn call(&self, from: PeerCaller, request: Request) -> impl Future<Output = Response> + Send;

    /// Answers append requests in order; ends after a conflict or a higher vote, or with the first request that the caller
    /// may not make.
    fn append<S>(
        self: &Arc<Self>,
        from: PeerCaller,
        requests: S,
    ) -> impl Stream<Item = Result<Appended, String>> + Send
    where
        S: Stream<Item = Append> + Send + 'static;

    /// Introduces the cluster to a node that joins.
    fn introduce(&self, to: PeerCaller) -> impl Future<Output = JoinAnswer> + Send;

    /// Receives a snapshot.
    fn snapshot(&self, from: PeerCaller, connection: Connection) -> impl Future<Output = Result<(), LinkError>> + Send;
}

/// Accepts and serves peers for as long as the runtime lives.
pub async fn serve<M: Serve>(listener: TcpListener, trust: Trust, node: Arc<M>) {
    let (pending, throttle) = (PendingConnections::default(), Arc::new(LogThrottle::default()));
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let place = pending.take(address.ip());
                let (trust, node, throttle) = (trust.clone(), node.clone(), throttle.clone());
                runtime::spawn(async move {
                    match serve_one(stream, place, &trust, &node).await {
                        Ok(()) => {}
                        Err(LinkError::Refused(refused)) if throttle.is_due_of(refused.kind, refused.node) => {
                            tracing::warn!(%address, reason = %refused, "peer refused");
                        }
                        Err(error) => tracing::debug!(%address, %error, "peer connection ended"),
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, say: pausing is all that helps.
                tracing::warn!(%error, "peer not accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_one<M: Serve>(
    stream: TcpStream,
    place: PendingSlot,
    trust: &Trust,
    node: &Arc<M>,
) -> Result<(), LinkError> {
    let answered = answer(trust, |number| node.membership_of(number), stream, Instant::now() + HELLO);
    let (caller, connection) = tokio::select! {
        biased;
        () = place.lost() => return Err(LinkError::Closed),
        answered = answered => answered?,
    };
    drop(place);
    match caller.purpose {
        Purpose::Append => serve_append(connection, caller, node).await,
        Purpose::Control | Purpose::Forward => serve_calls(connection, caller, node).await,
        Purpose::Snapshot => node.snapshot(caller, connection).await,
        Purpose::Join => serve_join(connection, caller, node).await,
    }
}

/// Sends the one answer of the connection, and waits for the caller to close it, so that none of it is lost.
async fn serve_join<M: Serve>(connection: Connection, to: PeerCaller, node: &Arc<M>) -> Result<(), LinkError> {
    let Connection { mut sender, mut receiver } = connection;
    let answer = node.introduce(to).await;
    timeout(ANSWER, sender.send(&answer)).await.map_err(|_elapsed| LinkError::TimedOut)??;
    tracing::info!(peer = to.node, "a node that joins was answered");
    match timeout(ANSWER, receiver.receive_bytes()).await {
        Ok(Ok(_more)) => Err(LinkError::Malformed("a node that joins has nothing to say".to_owned())),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// Requests until the peer closes the connection, sends nothing for [`IDLE`], or sends what does not decode.
fn requests(receiver: Receiver) -> impl Stream<Item = Append> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async move {
        match timeout(IDLE, receive_append(&mut receiver)).await {
            Ok(Ok(request)) => Some((request, receiver)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "append session ended");
                None
            }
            Err(_elapsed) => None,
        }
    })
}

async fn receive_append(receiver: &mut Receiver) -> Result<Append, LinkError> {
    let plain: PlainAppend = receiver.receive().await?;
    plain.try_into().map_err(|error: NoMembers| LinkError::Malformed(error.to_string()))
}

async fn serve_append<M: Serve>(connection: Connection, from: PeerCaller, node: &Arc<M>) -> Result<(), LinkError> {
    let Connection { mut sender, receiver } = connection;
    let mut answers = pin!(node.append(from, requests(receiver)));
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => {
                let answer = PlainAppended::from(&answer);
                timeout(ANSWER, sender.send(&answer)).await.map_err(|_elapsed| LinkError::TimedOut)??;
            }
            Err(stopped) => {
                tracing::debug!(%stopped, "append session ended");
                break;
            }
        }
    }
    Ok(())
}

async fn serve_calls<M: Serve>(connection: Connection, from: PeerCaller, node: &Arc<M>) -> Result<(), LinkError> {
    let Connection { sender, mut receiver } = connection;
    let (answers, queue) = mpsc::channel(CALLS);
    let room = Arc::new(Semaphore::new(CALLS));
    let read = async {
        loop {
            let call = timeout(IDLE, receiver.receive::<Numbered<Request>>()).await;
            let Numbered { id, body } = call.map_err(|_elapsed| LinkError::Closed)??;
            let Ok(permit) = room.clone().acquire_owned().await else { return Err(LinkError::Closed) };
            let (node, answers) = (node.clone(), answers.clone());
            runtime::spawn(async move {
                let body = node.call(from, body).await;
                // Where the connection is gone, no caller waits for the answer any more.
                drop(answers.send(Numbered { id, body }).await);
                drop(permit);
            });
        }
    };
    tokio::select! {
        biased;
        ended = write_answers(sender, queue) => ended,
        ended = read => ended,
    }
}

async fn write_answers(mut sender: Sender, mut queue: mpsc::Receiver<Numbered<Response>>) -> Result<(), LinkError> {
    while let Some(answer) = queue.recv().await {
        let write = async {
            sender.feed(&answer).await?;
            while let Ok(answer) = queue.try_recv() {
                sender.feed(&answer).await?;
            }
            sender.flush().await
        };
        timeout(ANSWER, write).await.map_err(|_elapsed| LinkError::TimedOut)??;
    }
    Ok(())
}
