//! A backup of the whole ledger, as a stream: `docs/format.md` describes its bytes.
//!
//! It takes as long as it takes, so it has no deadline once it has begun; a caller that takes nothing for
//! [`crate::http::Limits::stalled`] is cut. A stream that breaks ends with the connection and never as if it were whole.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use axum::routing::get;
use etebar_api as api;
use etebar_api::Code;
use futures::stream;
use tokio::time::Instant;

use crate::http::app::App;
use crate::http::quotas::Permit;
use crate::http::read;
use crate::http::request::head::{Caller, Head};
use crate::http::request::query::Query;
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::reply;
use crate::raft::{BackupEnd, BackupRefused, BackupStream};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/backup", get(download))
}

/// `GET /v1/backup`
async fn download(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_operate()?;
    let query = head.query(&["until", "records", "after"])?;
    let (end, after) = (end(&query)?, query.number("after")?.unwrap_or(0));
    // One that must wait is refused at once: backups take minutes.
    let permit = app.quotas.backups.take(caller.key, Instant::now()).await?;
    read::fresh(&app, &head, &query).await?;
    drop(read::state(&app, &caller)?);
    let stream = app.cluster.backup(end, after, head.deadline).await?;
    let applied = stream.applied();
    let mut response = Response::new(Body::from_stream(pieces(stream, permit)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(api::BACKUP));
    reply::at(&mut response, applied);
    Ok(response)
}

fn end(query: &Query<'_>) -> Result<BackupEnd, Problem> {
    match (query.number("until")?, query.number("records")?) {
        (None, None) => Ok(BackupEnd::Newest),
        (Some(entry), None) => Ok(BackupEnd::Entry(entry)),
        (None, Some(records)) => Ok(BackupEnd::Records(records)),
        (Some(_), Some(_)) => Err(Problem::invalid("/records", "give either until or records")),
    }
}

/// The pieces of a backup, under a permit that ends with them. An error ends the connection.
fn pieces(stream: BackupStream, permit: Permit) -> impl stream::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold((stream, permit), async |(mut stream, permit)| match stream.next().await {
        Ok(Some(piece)) => Ok(Some((Bytes::from(piece), (stream, permit)))),
        Ok(None) => Ok(None),
        Err(error) => {
            tracing::error!(%error, "a backup broke off");
            Err(std::io::Error::other(error))
        }
    })
}

impl From<BackupRefused> for Problem {
    fn from(error: BackupRefused) -> Self {
        let detail = error.to_string();
        match error {
            BackupRefused::NoEntry { .. } => Self::invalid("/until", detail),
            BackupRefused::NoRecords { is_start: true, .. } => Self::invalid("/after", detail),
            BackupRefused::NoRecords { is_start: false, .. } => Self::invalid("/records", detail),
            BackupRefused::NotDurable { .. } => Self::new(Code::Behind, detail),
            BackupRefused::Broken(defect) => Self::internal(defect),
        }
    }
}
