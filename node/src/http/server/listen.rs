//! The accept loop: takes connections up to a bound, and at shutdown lets what is in flight come to its end.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use etebar_api::PROBLEM_JSON;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::addresses::{Addresses, Place};
use super::connection::serve_connection;
use super::front::Front;
use super::shutdown::{Shutdown, Stage};
use super::tls::Opened;
use super::wire::Wire;
use crate::http::app::App;
use crate::http::response::problem::Problem;
use crate::runtime;
use crate::runtime::log_throttle::LogThrottle;
use crate::runtime::net::{TcpListener, TcpStream};

/// Pause after a failed accept, as when the process has no file left: so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long before the end of the drain what is in flight is told that its time is over.
const LATE: Duration = Duration::from_millis(250);
/// How often the disk's free room is looked at. Source: at 130,000 charges a second, log and history grow by about 4 MB
/// in that time.
const DISK_WATCH: Duration = Duration::from_millis(100);

/// Serves the API on `listener` until `stopping` is cancelled; then asks callers to go elsewhere for a moment, takes no
/// more, answers what is in flight, and comes back within [`crate::http::Limits::farewell`] and [`crate::http::Limits::drain`].
pub async fn serve(app: App, listener: TcpListener, stopping: CancellationToken) {
    let door = Door::new(app);
    let ended = CancellationToken::new();
    let watch = watch_disk(door.app.clone(), ended.clone());
    let accepting = async {
        let farewell = async {
            stopping.cancelled().await;
            door.stop.advance(Stage::Closing);
            tokio::time::sleep(door.app.limits.farewell).await;
        };
        let mut farewell = pin!(farewell);
        loop {
            tokio::select! {
                () = &mut farewell => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => door.admit(stream, from.ip()),
                    Err(error) => {
                        door.warn_of("could not accept a connection", &error);
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        drain(&door.app, &door.room, &door.stop).await;
        door.stop.advance(Stage::Ended);
        ended.cancel();
    };
    tokio::join!(accepting, watch);
}

/// Where connections come in: what they share, and how many there are.
struct Door {
    app: App,
    front: Front,
    stop: Arc<Shutdown>,
    /// Room for connections, whoever makes them.
    room: Arc<Semaphore>,
    /// Connections open from each client address.
    addresses: Addresses,
    /// Room for connections that are being turned away.
    turned_away: Arc<Semaphore>,
    /// What was logged of connections lately: strangers must not be able to fill the log.
    told: LogThrottle,
}

impl Door {
    fn new(app: App) -> Self {
        Self {
            front: Front::new(app.clone()),
            stop: Arc::default(),
            room: Arc::new(Semaphore::new(app.limits.connections)),
            addresses: Addresses::default(),
            turned_away: Arc::new(Semaphore::new(app.limits.turned_away)),
            told: LogThrottle::default(),
            app,
        }
    }

    /// Starts a connection's task, or turns the connection away where there is no room for it.
    fn admit(&self, stream: TcpStream, from: IpAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            self.warn_of("a connection could not be set to send at once", &error);
        }
        let Some(place) = self.addresses.enter(from, self.app.limits.connections_per_address) else {
            return self.turn_away(stream, from, "this node has no room for more connections from this address");
        };
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            return self.turn_away(stream, from, "this node has no room for more connections");
        };
        let (app, front, stop) = (self.app.clone(), self.front.clone(), Arc::clone(&self.stop));
        runtime::spawn(async move {
            let _held: (Place, OwnedSemaphorePermit) = (place, permit);
            let (answers, plain) = (Arc::clone(&stop), front.clone());
            let answer = move |request, progress| front.clone().answer(request, progress, Arc::clone(&answers));
            let Some(tls) = app.tls().cloned() else { return serve_connection(stream, app, stop, answer).await };
            match tls.open(stream, app.limits.head, &stop).await {
                Some(Opened::Tls(stream)) => serve_connection(*stream, app, stop, answer).await,
                Some(Opened::Plain(stream)) => {
                    serve_connection(stream, app, stop, |request, _| plain.clone().refuse_plain(request)).await;
                }
                None => {}
            }
        });
    }

    /// Tells a caller that there is no room for its connection; one too many of these is closed without a word.
    fn turn_away(&self, stream: TcpStream, from: IpAddr, why: &'static str) {
        if self.told.is_due(why) {
            warn!(%from, why, "connections are turned away; this is not said again for a minute");
        }
        if self.app.tls().is_some() {
            // A handshake would cost more than the room that it asks for; a caller that is closed upon before has sent nothing.
            return;
        }
        let Ok(permit) = Arc::clone(&self.turned_away).try_acquire_owned() else { return };
        let app = self.app.clone();
        runtime::spawn(async move {
            let _held: OwnedSemaphorePermit = permit;
            refuse(app, stream, why).await;
        });
    }

    /// Logs what is wrong with connections, once in a while.
    fn warn_of(&self, what: &'static str, error: &io::Error) {
        if self.told.is_due(what) {
            warn!(%error, "{what}");
        }
    }
}

/// Answers a connection that nothing was read from, and lets what it sends come to its end.
async fn refuse(app: App, stream: TcpStream, why: &'static str) {
    let problem = Problem::new(etebar_api::Code::Overloaded, why);
    let body = serde_json::to_string(problem.body()).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: {PROBLEM_JSON}\r\nretry-after: 1\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let within = app.limits.linger * 2;
    let mut wire = Wire::new(stream, Arc::default(), app);
    wire.answer_bare(answer.as_bytes());
    match tokio::time::timeout(within, wire.shutdown()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection that was turned away ended first"),
        Err(_elapsed) => debug!("a connection that was turned away took in no answer"),
    }
}

/// Waits until all connections are gone, for a bounded time, and at its end tells what is in flight that it is over.
async fn drain(app: &App, room: &Semaphore, stop: &Shutdown) {
    let all = u32::try_from(app.limits.connections).unwrap_or(u32::MAX);
    let parts = [(Stage::Stopping, app.limits.drain.saturating_sub(LATE)), (Stage::Late, LATE)];
    for (stage, time) in parts {
        stop.advance(stage);
        if tokio::time::timeout(time, room.acquire_many(all)).await.is_ok() {
            return info!("all requests in flight were answered");
        }
    }
    warn!("connections were still open when their time was over");
}

/// Looks at the disk's free room every now and then, and remembers whether it is used up.
async fn watch_disk(app: App, ended: CancellationToken) {
    let mut ticks = tokio::time::interval(DISK_WATCH);
    let told = LogThrottle::default();
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let data_dir = app.data_dir.clone();
        match runtime::blocking(move || super::disk_room::free_bytes(&data_dir)).await {
            Ok(Ok(free)) => app.cluster.set_disk_full(free < app.limits.disk_reserve_bytes),
            Ok(Err(error)) if told.is_due("disk") => warn!(%error, "the disk's free room is not known"),
            Ok(Err(error)) => debug!(%error, "the disk's free room is not known"),
            Err(error) => debug!(%error, "the disk's free room is not known"),
        }
    }
}
