//! Calls to one peer over one long-lived connection: many at a time, each answered in its own time.
//!
//! Invariants: at most [`QUEUE`] calls wait to be sent and [`UNANSWERED`] for their answer; a caller always learns
//! whether its call was certainly not sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::NodeNumber;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::LinkError;
use super::frame::{Receiver, Sender};
use super::hello::{Connection, Trust, dial};
use super::message::Purpose;
use super::message::{Numbered, Request, Response};
use crate::runtime;
use crate::runtime::log_throttle::LogThrottle;

/// Calls that wait to be sent.
const QUEUE: usize = 1_024;
/// Calls sent that wait for their answer.
const UNANSWERED: usize = 4_096;
/// How often the peer is pinged while calls wait.
const PING: Duration = Duration::from_millis(500);
/// A connection on which nothing arrives for so long while calls wait is closed.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for connecting and introducing oneself.
pub(super) const DIAL: Duration = Duration::from_secs(1);
/// Shortest and longest pause after a failed attempt to connect; it doubles.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The peer certainly never saw it.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The peer certainly never saw it: its build does not know such a call.
    #[error("not sent: the peer runs an older build")]
    OlderBuild,
    /// The peer may have seen it, and may have done it.
    #[error("sent, but not answered")]
    NoAnswer,
}

/// Calls to one peer for one purpose. Cheap to clone; the connection is made with the first call.
#[derive(Debug, Clone)]
pub struct Calls(mpsc::Sender<PeerCall>);

#[derive(Debug)]
struct PeerCall {
    request: Request,
    deadline: Instant,
    answer: oneshot::Sender<Result<Response, CallError>>,
}

impl PeerCall {
    /// Whether its caller still waits for it.
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed() && Instant::now() < self.deadline
    }

    fn fail(self, error: CallError) {
        // A caller that stopped waiting needs no answer.
        drop(self.answer.send(Err(error)));
    }
}

/// How to reach a peer.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The calling node, and what it checks the peer by.
    pub trust: Trust,
    /// The number of the peer.
    pub node: NodeNumber,
    /// Its peer address, `host:port`.
    pub address: Arc<str>,
}

impl Peer {
    /// Connects to the peer, before `deadline`.
    pub async fn dial(&self, purpose: Purpose, deadline: Instant) -> Result<Connection, LinkError> {
        dial(&self.trust, self.node, &self.address, purpose, deadline).await
    }
}

impl Calls {
    /// Starts the task that keeps the connection.
    pub fn open(peer: Peer, purpose: Purpose) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        runtime::spawn_vital("peer link", keep(peer, purpose, queue));
        Self(sender)
    }

    /// Calls, and waits for the answer until `deadline`.
    pub async fn call(&self, request: Request, deadline: Instant) -> Result<Response, CallError> {
        let (answer, answered) = oneshot::channel();
        match timeout_at(deadline, self.0.send(PeerCall { request, deadline, answer })).await {
            Ok(Ok(())) => {}
            Ok(Err(_closed)) => return Err(CallError::NotSent("the link is closed".into())),
            Err(_elapsed) => return Err(CallError::NotSent("too many calls wait".into())),
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(CallError::NoAnswer),
        }
    }
}

/// Connects whenever a call waits, and serves calls until the connection ends.
async fn keep(peer: Peer, purpose: Purpose, mut queue: mpsc::Receiver<PeerCall>) {
    let mut pause = BACK_OFF.0;
    let throttle = LogThrottle::default();
    while let Some(first) = queue.recv().await {
        if !first.is_wanted() {
            continue;
        }
        let deadline = first.deadline.min(Instant::now() + DIAL);
        match peer.dial(purpose, deadline).await {
            Ok(connection) => {
                pause = BACK_OFF.0;
                let ended = serve(connection, first, &mut queue).await;
                tracing::debug!(peer = peer.node, ?purpose, %ended, "link ended");
            }
            Err(error) => {
                report(&peer, &error, &throttle);
                first.fail(CallError::NotSent(error.to_string()));
                refuse_until(Instant::now() + pause, &mut queue, &error).await;
                pause = (pause * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// A refusal is a fault of the installation and has to be seen; an unreachable peer is ordinary.
fn report(peer: &Peer, error: &LinkError, throttle: &LogThrottle) {
    match error {
        LinkError::Refused(refused) if throttle.is_due(refused.kind) => {
            tracing::warn!(peer = peer.node, reason = %refused, "peer refused");
        }
        LinkError::Malformed(_) if throttle.is_due("malformed") => {
            tracing::warn!(peer = peer.node, %error, "peer not understood");
        }
        LinkError::Refused(_)
        | LinkError::Malformed(_)
        | LinkError::Io(_)
        | LinkError::Closed
        | LinkError::TimedOut => {
            tracing::debug!(peer = peer.node, %error, "peer not reached");
        }
    }
}

/// Answers calls at once while the peer is not dialled again.
async fn refuse_until(until: Instant, queue: &mut mpsc::Receiver<PeerCall>, error: &LinkError) {
    while let Ok(Some(call)) = timeout_at(until, queue.recv()).await {
        call.fail(CallError::NotSent(error.to_string()));
    }
}

/// The calls that were sent, and since when nothing arrived.
struct Pending {
    waiting: BTreeMap<u64, oneshot::Sender<Result<Response, CallError>>>,
    asked_since: Option<Instant>,
}

struct InFlight {
    pending: Mutex<Pending>,
    answered: Notify,
}

impl InFlight {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock()
    }
}

/// Sends and receives side by side until one fails, then answers all that wait.
async fn serve(connection: Connection, first: PeerCall, queue: &mut mpsc::Receiver<PeerCall>) -> LinkError {
    let Connection { sender, receiver } = connection;
    let pending = Mutex::new(Pending { waiting: BTreeMap::new(), asked_since: None });
    let in_flight = InFlight { pending, answered: Notify::new() };
    let ended = tokio::select! {
        biased;
        error = receive(receiver, &in_flight) => error,
        error = send(sender, first, queue, &in_flight) => error,
        () = watch_silence(&in_flight) => LinkError::TimedOut,
    };
    let waiting = std::mem::take(&mut in_flight.pending().waiting);
    for answer in waiting.into_values() {
        drop(answer.send(Err(CallError::NoAnswer)));
    }
    ended
}

async fn send(
    mut sender: Sender,
    first: PeerCall,
    queue: &mut mpsc::Receiver<PeerCall>,
    in_flight: &InFlight,
) -> LinkError {
    let mut next = Some(first);
    let mut last_id = 0_u64;
    loop {
        let call = match next.take() {
            Some(call) => Some(call),
            None => match timeout_at(Instant::now() + PING, queue.recv()).await {
                Ok(Some(call)) => Some(call),
                Ok(None) => return LinkError::Closed,
                Err(_elapsed) => None,
            },
        };
        let sent = match call {
            Some(call) => feed(&mut sender, call, &mut last_id, in_flight).await,
            None if in_flight.pending().waiting.is_empty() => continue,
            None => sender.feed(&Numbered { id: 0, body: Request::Ping }).await,
        };
        if let Err(error) = sent {
            return error;
        }
        // What waits already goes into the same packet.
        next = queue.try_recv().ok();
        if next.is_none()
            && let Err(error) = sender.flush().await
        {
            return error;
        }
    }
}

async fn feed(sender: &mut Sender, call: PeerCall, last_id: &mut u64, in_flight: &InFlight) -> Result<(), LinkError> {
    while in_flight.pending().waiting.len() >= UNANSWERED {
        sender.flush().await?;
        in_flight.answered.notified().await;
    }
    if !call.is_wanted() {
        call.fail(CallError::NotSent("its time was up".into()));
        return Ok(());
    }
    let PeerCall { request, deadline: _, answer } = call;
    let Some(request) = request.in_version(sender.version()) else {
        // A caller that stopped waiting needs no answer.
        drop(answer.send(Err(CallError::OlderBuild)));
        return Ok(());
    };
    *last_id += 1;
    {
        let mut pending = in_flight.pending();
        pending.waiting.insert(*last_id, answer);
        pending.asked_since.get_or_insert_with(Instant::now);
    }
    sender.feed(&Numbered { id: *last_id, body: request }).await
}

async fn receive(mut receiver: Receiver, in_flight: &InFlight) -> LinkError {
    loop {
        let Numbered { id, body } = match receiver.receive::<Numbered<Response>>().await {
            Ok(numbered) => numbered,
            Err(error) => return error,
        };
        let mut pending = in_flight.pending();
        let answer = pending.waiting.remove(&id);
        pending.asked_since = (!pending.waiting.is_empty()).then(Instant::now);
        drop(pending);
        if let Some(answer) = answer {
            drop(answer.send(Ok(body)));
            in_flight.answered.notify_one();
        }
    }
}

/// Returns once calls waited for [`RECEIVE_TIMEOUT`] and nothing arrived.
async fn watch_silence(in_flight: &InFlight) {
    loop {
        let since = in_flight.pending().asked_since.unwrap_or_else(Instant::now);
        if since.elapsed() >= RECEIVE_TIMEOUT {
            return;
        }
        sleep_until(since + RECEIVE_TIMEOUT).await;
    }
}
