//! The journal of acts: what anybody but a seller did, with who, when and from where.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use etebar_api as api;
use ledger::{RecordNumber, Time};

use crate::http::app::App;
use crate::http::read;
use crate::http::read::records::{self, RecordReader};
use crate::http::request::cursor::List;
use crate::http::request::head::{Caller, Head};
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::{render, reply};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/acts", get(list))
}

/// Most acts that are looked at for a page; a longer search continues with the page's cursor. Source: a record is read in some
/// 5 microseconds.
const SCAN_ACTS: usize = 4_096;

/// `GET /v1/acts`
async fn list(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_acts()?;
    let query = head.query(&["actor", "from", "to", "limit", "after"])?;
    let (actor, limit) = (query.get("actor").map(str::to_owned), query.limit()?);
    let (from, to) = (query.time("from")?, query.time("to")?);
    let text = |time: Option<Time>| time.map(|time| time.0.to_string());
    let list = List::new("acts").with("actor", actor.as_deref());
    let list = list.with("from", text(from).as_deref()).with("to", text(to).as_deref());
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let permit = app.quotas.scans.take(caller.key, head.deadline).await?;
    let first = records::first_record(&app, from).await?.max(after.saturating_add(1));
    let (applied, bound) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.records())
    };
    let found = records::searching(&app, permit, move |reader| {
        search(reader, first..=bound, limit, |act| {
            let is_in_time = |time: Time| from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to);
            is_in_time(Time(act.created_at.0)) && actor.as_ref().is_none_or(|actor| *actor == act.actor)
        })
    });
    let (items, next) = found.await?;
    reply::json(applied, &list.page(items, next))
}

/// The acts among these records that are wanted, and the number after which the search continues.
fn search(
    reader: &RecordReader,
    records: std::ops::RangeInclusive<RecordNumber>,
    limit: usize,
    is_wanted: impl Fn(&api::Act) -> bool,
) -> Result<(Vec<api::Act>, Option<RecordNumber>), Problem> {
    let mut numbers = reader.acts(*records.start(), SCAN_ACTS + 1)?;
    numbers.retain(|number| records.contains(number));
    let (mut acts, mut last) = (Vec::new(), None);
    for (seen, number) in numbers.into_iter().enumerate() {
        if seen == SCAN_ACTS {
            return Ok((acts, last));
        }
        let record = reader.record(number)?;
        let shown = render::act(&reader.info, &record, reader.actor(&record)?);
        let shown = shown.ok_or_else(|| Problem::internal(format_args!("record {number} is no act")))?;
        if is_wanted(&shown) {
            if acts.len() == limit {
                return Ok((acts, last));
            }
            acts.push(shown);
        }
        last = Some(number);
    }
    Ok((acts, None))
}
