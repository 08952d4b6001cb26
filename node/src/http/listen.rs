//! The accept loop: takes connections up to a bound, and at shutdown lets what is in flight come to its end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use etebar::api::{NODE, PROBLEM_JSON, REQUEST_ID};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::app::App;
use super::connection::serve_connection;
use super::front::Front;
use super::problem::Problem;
use super::stop::{Stage, Stop};
use super::tls::Opened;
use crate::runtime;
use crate::runtime::net::{TcpListener, TcpStream};

/// Pause after a failed accept, as when the process has no file left: so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long before the end of the drain what is in flight is told that its time is over.
const LATE: Duration = Duration::from_millis(250);
/// How often the disk's free room is looked at. Source: at 130,000 charges a second, log and history grow by about 4 MB
/// in that time.
const DISK_WATCH: Duration = Duration::from_millis(100);

/// Serves the API on `listener` until `stopping` is cancelled; then asks callers to go elsewhere for a moment, takes no
/// more, answers what is in flight, and comes back within [`super::Limits::farewell`] and [`super::Limits::drain`].
pub async fn serve(app: App, listener: TcpListener, stopping: CancellationToken) {
    let front = Front::new(app.clone());
    let room = Arc::new(Semaphore::new(app.limits.connections));
    let stop = Arc::new(Stop::default());
    let ended = CancellationToken::new();
    let watch = watch_disk(app.clone(), ended.clone());
    let accepting = async {
        let farewell = async {
            stopping.cancelled().await;
            stop.go_on_to(Stage::Closing);
            tokio::time::sleep(app.limits.farewell).await;
        };
        let mut farewell = pin!(farewell);
        loop {
            tokio::select! {
                () = &mut farewell => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => admit(&app, &front, stream, &room, &stop),
                    Err(error) => {
                        warn!(%error, "could not accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        drain(&app, &room, &stop).await;
        stop.go_on_to(Stage::Ended);
        ended.cancel();
    };
    tokio::join!(accepting, watch);
}

/// Starts a connection's task, or turns the connection away where there is no room.
fn admit(app: &App, front: &Front, stream: TcpStream, room: &Arc<Semaphore>, stop: &Arc<Stop>) {
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "a connection could not be set to send at once");
    }
    let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
        runtime::spawn(turn_away(app.clone(), stream));
        return;
    };
    let tls = app.tls().cloned();
    let (front, limits, stop) = (front.clone(), app.limits, Arc::clone(stop));
    runtime::spawn(async move {
        let _permit: OwnedSemaphorePermit = permit;
        let answers = Arc::clone(&stop);
        let plain = front.clone();
        let answer = move |request, progress| front.clone().answer(request, progress, Arc::clone(&answers));
        let Some(tls) = tls else { return serve_connection(stream, limits, stop, answer).await };
        match tls.open(stream, limits.head, &stop).await {
            Some(Opened::Tls(stream)) => serve_connection(*stream, limits, stop, answer).await,
            Some(Opened::Plain(stream)) => {
                serve_connection(stream, limits, stop, |request, _| plain.clone().refuse_plain(request)).await;
            }
            None => {}
        }
    });
}

/// Tells a caller that there is no room for its connection.
async fn turn_away(app: App, mut stream: TcpStream) {
    if app.tls().is_some() {
        // A handshake would cost more than the room that it asks for; a caller that is closed upon before has sent nothing.
        return warn!("a connection was turned away: no room for more");
    }
    let problem = Problem::new(etebar::api::Code::Overloaded, "this node has no room for more connections");
    let body = serde_json::to_string(problem.body()).unwrap_or_default();
    let mut answer = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n".to_vec();
    let fields = [
        (header::CONTENT_TYPE.as_str(), HeaderValue::from_static(PROBLEM_JSON)),
        (header::CONTENT_LENGTH.as_str(), HeaderValue::from(body.len())),
        (header::RETRY_AFTER.as_str(), HeaderValue::from_static("1")),
        (REQUEST_ID, app.request_id()),
        (NODE, app.node.clone()),
    ];
    for (name, value) in fields {
        answer.extend_from_slice(&[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    answer.extend_from_slice(&[b"\r\n", body.as_bytes()].concat());
    let said: io::Result<()> = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }
    .await;
    warn!(told = said.is_ok(), "a connection was turned away: no room for more");
}

/// Waits until all connections are gone, for a bounded time, and at its end tells what is in flight that it is over.
async fn drain(app: &App, room: &Semaphore, stop: &Stop) {
    let all = u32::try_from(app.limits.connections).unwrap_or(u32::MAX);
    let parts = [(Stage::Stopping, app.limits.drain.saturating_sub(LATE)), (Stage::Late, LATE)];
    for (stage, time) in parts {
        stop.go_on_to(stage);
        if tokio::time::timeout(time, room.acquire_many(all)).await.is_ok() {
            return info!("all requests in flight were answered");
        }
    }
    warn!("connections were still open when their time was over");
}

/// Looks at the disk's free room every now and then, and remembers whether it is used up.
async fn watch_disk(app: App, ended: CancellationToken) {
    let mut ticks = tokio::time::interval(DISK_WATCH);
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let data_dir = app.data_dir.clone();
        match runtime::blocking(move || super::disk_room::free_bytes(&data_dir)).await {
            Ok(Ok(free)) => app.cluster.set_disk_full(free < app.limits.disk_reserve_bytes),
            Ok(Err(error)) => warn!(%error, "the disk's free room is not known"),
            Err(error) => warn!(%error, "the disk's free room is not known"),
        }
    }
}
