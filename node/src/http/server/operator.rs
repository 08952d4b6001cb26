//! The operator's listener: `/metrics`, `/livez` and `/readyz` over plain HTTP, apart from the API.
//!
//! It has a thread, connections and waits of its own, so a node whose API is full, or whose other threads are busy, is seen all
//! the same. No key comes here, and no answer names a seller or a phone. Bounds: [`CONNECTIONS`], each for [`LIFE`] at most; one
//! scrape at a time, answered or refused within [`SCRAPE`]. A simulation has no such listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::routing::get;
use etebar_api::Code;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, warn};

use crate::http::app::App;
use crate::http::resources::health;
use crate::http::response::problem::Problem;
use crate::metrics::exposition::{CONTENT_TYPE, Exposition, Sources};
use crate::runtime;
use crate::runtime::log_throttle::LogThrottle;

/// Most connections at once; one more is closed. Source: some Prometheus servers, probes, and an operator's `curl`.
const CONNECTIONS: usize = 32;
/// Longest life of a connection. Source: a scraper that keeps its own open connects again a few times an hour.
const LIFE: Duration = Duration::from_mins(10);
/// Longest wait for a scrape, its turn included. Source: half of Prometheus's own time-out.
const SCRAPE: Duration = Duration::from_secs(5);
/// Largest head, in bytes. Source: the least that hyper takes.
const HEAD_BYTES: usize = 8_192;
/// Pause after a failed accept, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Threads for scrapes: one at work, and one that is ending.
const BLOCKING_THREADS: usize = 2;

/// Serves operators on `listener` in a thread of its own until `ended` is cancelled.
///
/// # Errors
/// Where the thread cannot be had.
pub fn serve_operator(app: App, listener: std::net::TcpListener, ended: CancellationToken) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("operator")
        .build()?;
    listener.set_nonblocking(true)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let serve = move || runtime.block_on(accept(&app, &listener, &ended));
    std::thread::Builder::new().name("operator".to_owned()).spawn(serve).map(drop)
}

async fn accept(app: &App, listener: &TcpListener, ended: &CancellationToken) {
    let (router, slots, throttle) = (router(app), Arc::new(Semaphore::new(CONNECTIONS)), LogThrottle::default());
    loop {
        let accepted = tokio::select! {
            () = ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match (accepted, Arc::clone(&slots).try_acquire_owned()) {
            (Ok((stream, _)), Ok(slot)) => {
                let connection = serve(app.clone(), router.clone(), stream);
                // The handle is dropped on purpose: the connection ends with its life.
                drop(tokio::spawn(async move {
                    let _held = slot;
                    connection.await;
                }));
            }
            (Ok((_, from)), Err(_)) => {
                if throttle.is_due("full") {
                    warn!(%from, "the operator's listener has no room for more connections; this is not logged again for a minute");
                }
            }
            (Err(error), _) => {
                if throttle.is_due("accept") {
                    warn!(%error, "could not accept an operator's connection");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(app: App, router: Router, stream: TcpStream) {
    let idle = app.limits.idle;
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, mut router) = (app.clone(), router.clone());
        async move {
            let mut response = router.call(request).await?;
            app.sign(response.headers_mut(), app.request_id());
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Of an idle connection too.
        .header_read_timeout(idle)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(LIFE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "an operator's connection failed"),
        Err(_elapsed) => debug!("an operator's connection came to the end of its life"),
    }
}

fn router(app: &App) -> Router {
    let exposition = Arc::new(Exposition::new(Sources {
        cluster: app.cluster.clone(),
        http: Arc::clone(&app.instruments),
        connections: Arc::clone(&app.connections),
        connections_max: app.limits.connections,
        data_dir: app.data_dir.clone(),
        disk_reserve_bytes: app.limits.disk_reserve_bytes,
        api_credentials: app.tls().map(super::tls::ApiTls::credentials),
    }));
    let turn = Arc::new(Semaphore::new(1));
    health::routes()
        .route("/metrics", get(move || scrape(Arc::clone(&exposition), Arc::clone(&turn))))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "the Allow header names the methods of this address")
        })
        .with_state(app.clone())
}

/// `GET /metrics`
async fn scrape(exposition: Arc<Exposition>, turn: Arc<Semaphore>) -> Response<Body> {
    let scraped = timeout(SCRAPE, async {
        let held = turn.acquire_owned().await.map_err(|error| error.to_string())?;
        // The turn goes with the work: one that hangs on a disk keeps others from hanging beside it.
        let work = move || {
            let text = exposition.text();
            drop(held);
            text
        };
        runtime::blocking(work).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    });
    let why = match scraped.await {
        Ok(Ok(text)) => return plain(StatusCode::OK, CONTENT_TYPE, text),
        Ok(Err(why)) => why,
        Err(_elapsed) => "an earlier scrape, or the disk, takes too long".to_owned(),
    };
    warn!(%why, "a scrape failed");
    plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", format!("no metrics now: {why}\n"))
}

fn plain(status: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
