//! The accept loop: accepts connections up to a bound, for all clients and for each, and at shutdown drains what is in
//! flight.
//!
//! Connections are counted by client address, so that one client cannot hold all of a node's. An IPv6 client has a whole
//! /64 to connect from, so that counts as one address.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use etebar_api::PROBLEM_JSON;
use hyper::body::Incoming;
use parking_lot::{Mutex, MutexGuard};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connection::{Shutdown, Stage, serve_connection};
use super::disk_space;
use super::service::ApiService;
use super::tls::Opened;
use super::wire::Wire;
use crate::http::app::App;
use crate::http::request::head::ClientAddress;
use crate::http::response::problem::Problem;
use crate::raft::link::trust::pending::one_client;
use crate::runtime;
use crate::runtime::log_throttle::LogThrottle;
use crate::runtime::net::{TcpListener, TcpStream};

/// Pause after a failed accept, as when the process has no file descriptor left, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long before the end of the drain requests still in flight are answered that the node is shutting down.
const LATE: Duration = Duration::from_millis(250);

/// Serves the API on `listener` until `stopping` is cancelled; then closes connections after their next answer for a
/// while, accepts no more, answers the requests in flight, and returns within [`crate::http::Limits::farewell`] and
/// [`crate::http::Limits::drain`].
pub async fn serve(app: App, listener: TcpListener, stopping: CancellationToken) {
    let acceptor = Acceptor::new(app);
    let ended = CancellationToken::new();
    let watching = disk_space::watch(acceptor.app.clone(), ended.clone());
    let accepting = async {
        let farewell = async {
            stopping.cancelled().await;
            acceptor.shutdown.advance(Stage::Closing);
            tokio::time::sleep(acceptor.app.limits.farewell).await;
        };
        let mut farewell = pin!(farewell);
        loop {
            tokio::select! {
                () = &mut farewell => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => acceptor.admit(stream, from.ip()),
                    Err(error) => {
                        acceptor.warn_of("could not accept a connection", &error);
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        drain(&acceptor.app, &acceptor.shutdown).await;
        acceptor.shutdown.advance(Stage::Ended);
        ended.cancel();
    };
    tokio::join!(accepting, watching);
}

/// What all connections share, and how many there are.
struct Acceptor {
    app: App,
    service: ApiService,
    shutdown: Arc<Shutdown>,
    /// Connections open from each client address.
    addresses: Addresses,
    /// Slots for connections that are being turned away.
    turned_away: Arc<Semaphore>,
    /// Limits what is logged of connections: unauthenticated callers must not be able to fill the log.
    throttle: LogThrottle,
}

impl Acceptor {
    fn new(app: App) -> Self {
        Self {
            service: ApiService::new(app.clone()),
            shutdown: Arc::default(),
            addresses: Addresses::default(),
            turned_away: Arc::new(Semaphore::new(app.limits.turned_away)),
            throttle: LogThrottle::default(),
            app,
        }
    }

    /// Starts a connection's task, or turns the connection away where there is no slot for it.
    fn admit(&self, stream: TcpStream, from: IpAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            self.warn_of("could not set TCP_NODELAY on a connection", &error);
        }
        let Some(of_address) = self.addresses.enter(from, self.app.limits.connections_per_address) else {
            return self.turn_away(stream, from, "this node has no room for more connections from this address");
        };
        let Ok(slot) = Arc::clone(&self.app.connections).try_acquire_owned() else {
            return self.turn_away(stream, from, "this node has no room for more connections");
        };
        let (app, service, shutdown) = (self.app.clone(), self.service.clone(), Arc::clone(&self.shutdown));
        runtime::spawn(async move {
            let _held: (AddressSlot, OwnedSemaphorePermit) = (of_address, slot);
            let (plain, answers) = (service.clone(), Arc::clone(&shutdown));
            let client = ClientAddress(from.to_canonical());
            let answer = move |mut request: Request<Incoming>, progress| {
                request.extensions_mut().insert(client);
                service.clone().answer(request, progress, Arc::clone(&answers))
            };
            let Some(tls) = app.tls().cloned() else { return serve_connection(stream, app, shutdown, answer).await };
            let opened = tokio::select! {
                biased;
                opened = tls.open(stream, app.limits.head) => opened,
                () = shutdown.stopping() => None,
            };
            match opened {
                Some(Opened::Tls(stream)) => serve_connection(*stream, app, shutdown, answer).await,
                Some(Opened::Plain(stream)) => {
                    let answer = |request, _| std::future::ready(plain.refuse_plain(&request));
                    serve_connection(stream, app, shutdown, answer).await;
                }
                None => {}
            }
        });
    }

    /// Answers that there is no slot for a connection; beyond [`crate::http::Limits::turned_away`] it is closed unanswered.
    fn turn_away(&self, stream: TcpStream, from: IpAddr, why: &'static str) {
        self.app.instruments.turned_away();
        if self.throttle.is_due(why) {
            warn!(%from, why, "connections are turned away; this is not logged again for a minute");
        }
        if self.app.tls().is_some() {
            // A handshake would cost more than the slot; a caller whose connection is closed before it has sent nothing.
            return;
        }
        let Ok(slot) = Arc::clone(&self.turned_away).try_acquire_owned() else { return };
        let app = self.app.clone();
        runtime::spawn(async move {
            let _held: OwnedSemaphorePermit = slot;
            refuse(app, stream, why).await;
        });
    }

    /// Logs what is wrong with connections, at a bounded rate.
    fn warn_of(&self, what: &'static str, error: &io::Error) {
        if self.throttle.is_due(what) {
            warn!(%error, "{what}");
        }
    }
}

/// Answers a connection of which nothing was read, and reads and drops what it sends.
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
        Ok(Err(error)) => debug!(%error, "a connection failed while it was turned away"),
        Err(_elapsed) => debug!("a connection that was turned away did not read its answer in time"),
    }
}

/// Waits until all connections are closed, for a bounded time, at whose end requests in flight are answered all the same.
async fn drain(app: &App, shutdown: &Shutdown) {
    let all = u32::try_from(app.limits.connections).unwrap_or(u32::MAX);
    let parts = [(Stage::Stopping, app.limits.drain.saturating_sub(LATE)), (Stage::Late, LATE)];
    for (stage, time) in parts {
        shutdown.advance(stage);
        if tokio::time::timeout(time, app.connections.acquire_many(all)).await.is_ok() {
            return info!("all requests in flight were answered");
        }
    }
    warn!("connections were still open at the end of the drain");
}

/// Open connections by address. Clones share it; it holds no address without a connection.
#[derive(Debug, Clone, Default)]
struct Addresses(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One connection's slot; dropping it frees the slot.
#[derive(Debug)]
struct AddressSlot {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.0.lock()
    }

    /// A slot for one more connection from `address`; `None` where it holds `most` already.
    fn enter(&self, address: IpAddr, most: usize) -> Option<AddressSlot> {
        let address = one_client(address);
        let mut open = self.lock();
        let held = open.get(&address).copied().unwrap_or(0);
        if held >= most {
            return None;
        }
        open.insert(address, held + 1);
        Some(AddressSlot { addresses: self.clone(), address })
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut open = self.addresses.lock();
        match open.get_mut(&self.address) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) | None => drop(open.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_holds_so_many_slots_and_frees_them() {
        let addresses = Addresses::default();
        let (first, second) = (addresses.enter(ip("10.0.0.1"), 2), addresses.enter(ip("::ffff:10.0.0.1"), 2));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.enter(ip("10.0.0.1"), 2).is_none());
        assert!(addresses.enter(ip("10.0.0.2"), 2).is_some(), "another address is another client");
        drop(first);
        assert!(addresses.enter(ip("10.0.0.1"), 2).is_some());
        drop(second);
        assert!(addresses.lock().is_empty(), "no address without a connection is kept");
    }

    #[test]
    fn a_64_of_ipv6_is_one_client() {
        let addresses = Addresses::default();
        let _held = addresses.enter(ip("2001:db8:1:2::1"), 1);
        assert!(addresses.enter(ip("2001:db8:1:2:ffff::9"), 1).is_none());
        assert!(addresses.enter(ip("2001:db8:1:3::1"), 1).is_some());
    }
}
