//! The journal: all entries in order, or one seller's, each with the digest of the chain up to it.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use etebar_api as api;
use ledger::{RecordNumber, Time, page_of};

use crate::http::app::App;
use crate::http::read;
use crate::http::read::records::{self, Flow, RecordReader, SCAN_RECORDS, page_start};
use crate::http::request::cursor::List;
use crate::http::request::head::{Caller, Head};
use crate::http::request::query::Query;
use crate::http::response::problem::{Answer, Problem};
use crate::http::response::{render, reply};

/// The paths of this resource.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/journal", get(all)).route("/v1/sellers/{id}/entries", get(of_seller))
}

/// Entries of a seller that are read beyond a page's limit: those before `from` in `from`'s own page of records.
const SLACK: usize = 65;
const _: () = assert!(SLACK as u64 == ledger::PAGE_RECORDS + 1, "a page's records and the first after them");

/// Entries, and the record after which the list continues.
#[derive(Default)]
struct FoundEntries {
    entries: Vec<api::Entry>,
    last: Option<RecordNumber>,
    next: Option<RecordNumber>,
}

impl FoundEntries {
    /// Takes one more entry, or returns that the page is full.
    fn take(&mut self, number: RecordNumber, entry: impl FnOnce() -> api::Entry, limit: usize) -> Flow {
        if self.entries.len() == limit {
            self.next = self.last;
            return Flow::Enough;
        }
        self.entries.push(entry());
        self.last = Some(number);
        Flow::On
    }
}

/// `GET /v1/journal`
async fn all(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_all()?;
    let query = head.query(&["from", "to", "from_entry", "limit", "after"])?;
    let (span, limit) = (Span { from_entry: query.number("from_entry")?, ..Span::of(&query)? }, query.limit()?);
    let list = span.filter(List::new("journal"));
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let permit = app.quotas.scans.take(caller.key, head.deadline).await?;
    let first =
        records::first_record(&app, span.from).await?.max(records::record_of_entry(&app, span.from_entry).await?);
    let after = after.max(first.saturating_sub(1));
    let (applied, bound) = {
        let replica = read::state(&app, &caller)?;
        (replica.applied, replica.state.records())
    };
    let search = move |reader: &RecordReader| read_on(reader, span, after, bound, limit);
    let found = records::searching(&app, permit, search).await?;
    reply::json(applied, &list.page(found.entries, found.next))
}

/// Which entries: from (inclusive) and to (exclusive) times, in ledger time; from (inclusive) a number.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Option<Time>,
    to: Option<Time>,
    from_entry: Option<u64>,
}

impl Span {
    fn of(query: &Query<'_>) -> Result<Self, Problem> {
        Ok(Self { from: query.time("from")?, to: query.time("to")?, from_entry: None })
    }

    /// The list, filtered by this span.
    fn filter(self, list: List) -> List {
        let text = |time: Option<Time>| time.map(|time| time.0.to_string());
        let from_entry = self.from_entry.map(|entry| entry.to_string());
        let list = list.with("from", text(self.from).as_deref()).with("to", text(self.to).as_deref());
        list.with("from_entry", from_entry.as_deref())
    }

    fn has_begun(self, time: Time) -> bool {
        self.from.is_none_or(|from| time >= from)
    }

    fn is_over(self, time: Time) -> bool {
        self.to.is_some_and(|to| time >= to)
    }
}

fn read_on(
    reader: &RecordReader,
    span: Span,
    after: RecordNumber,
    bound: RecordNumber,
    limit: usize,
) -> Result<FoundEntries, Problem> {
    let mut found = FoundEntries::default();
    let mut over = false;
    let first = page_start(page_of(after.saturating_add(1)));
    let last = bound.min(first.saturating_add(SCAN_RECORDS as u64));
    reader.for_each_entry(first..=last, |record, entry, chain| {
        over = span.is_over(record.time);
        if over {
            return Ok(Flow::Enough);
        }
        if record.number <= after
            || !span.has_begun(record.time)
            || span.from_entry.is_some_and(|from| entry.number < from)
        {
            return Ok(Flow::On);
        }
        Ok(found.take(record.number, || render::entry(&reader.info, entry, &chain.digest()), limit))
    })?;
    if last < bound && found.next.is_none() && !over {
        found.next = Some(last);
    }
    Ok(found)
}

/// `GET /v1/sellers/{id}/entries`
async fn of_seller(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let seller = read::seller_of(&app, &head, &caller)?;
    let query = head.query(&["from", "to", "limit", "after"])?;
    let (span, limit) = (Span::of(&query)?, query.limit()?);
    let list = span.filter(List::new("entries").with("seller", Some(&seller.to_string())));
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let permit = app.quotas.scans.take(caller.key, head.deadline).await?;
    let first = records::first_record(&app, span.from).await?.max(after.saturating_add(1));
    let (applied, bound) = {
        let replica = read::state(&app, &caller)?;
        replica.state.seller(seller).ok_or_else(Problem::not_found)?;
        (replica.applied, replica.state.records())
    };
    let found = records::searching(&app, permit, move |reader| {
        let entries = reader.entries_of(seller, first, limit + SLACK)?;
        let numbers = entries.into_iter().filter(|number| *number <= bound);
        let mut found = FoundEntries::default();
        for page in by_page(numbers) {
            if read_page(reader, &page, &mut found, limit, span)? == Flow::Enough {
                break;
            }
        }
        Ok(found)
    });
    let found = found.await?;
    reply::json(applied, &list.page(found.entries, found.next))
}

/// The requested records of one page of the history.
struct RequestedPage {
    number: u64,
    requested: Vec<RecordNumber>,
}

fn by_page(numbers: impl Iterator<Item = RecordNumber>) -> Vec<RequestedPage> {
    let mut pages: Vec<RequestedPage> = Vec::new();
    for number in numbers {
        match pages.last_mut() {
            Some(page) if page.number == page_of(number) => page.requested.push(number),
            Some(_) | None => pages.push(RequestedPage { number: page_of(number), requested: vec![number] }),
        }
    }
    pages
}

fn read_page(
    reader: &RecordReader,
    page: &RequestedPage,
    found: &mut FoundEntries,
    limit: usize,
    span: Span,
) -> Result<Flow, Problem> {
    let Some(last) = page.requested.last() else { return Ok(Flow::On) };
    let mut flow = Flow::On;
    reader.for_each_entry(page_start(page.number)..=*last, |record, entry, chain| {
        if page.requested.binary_search(&record.number).is_err() || !span.has_begun(record.time) {
            return Ok(Flow::On);
        }
        flow = if span.is_over(record.time) {
            Flow::Enough
        } else {
            found.take(record.number, || render::entry(&reader.info, entry, &chain.digest()), limit)
        };
        Ok(flow)
    })?;
    Ok(flow)
}
