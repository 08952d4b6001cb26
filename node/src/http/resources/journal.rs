//! The journal: all entries in order, or one seller's, each with the digest of the chain up to it.

use axum::extract::State;
use etebar::api;
use ledger::state::PageMark;
use ledger::{RecordNumber, Time, page_of};

use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::call::Head;
use crate::http::cursor::List;
use crate::http::history::{self, Flow, Reader, SCAN_RECORDS, page_start};
use crate::http::problem::{Answer, Problem};
use crate::http::{read, render, reply};

/// Entries of a seller that are looked at beyond a page's limit: those before `from` in `from`'s own page of records.
const SLACK: usize = ledger::PAGE_RECORDS as usize + 1;

/// Entries, and the record after which the list goes on.
#[derive(Default)]
struct Found {
    entries: Vec<api::Entry>,
    last: Option<RecordNumber>,
    next: Option<RecordNumber>,
}

impl Found {
    /// Takes one more entry, or says that the page is full.
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
pub async fn all(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    caller.must_see_all()?;
    let query = head.query(&["limit", "after"])?;
    let (list, limit) = (List::new("journal"), query.limit()?);
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let (applied, bound, mark) = {
        let replica = read::state(&app, &caller)?;
        let mark = replica.state.page_mark(page_of(after.saturating_add(1))).copied();
        (replica.applied, replica.state.records(), mark)
    };
    let Some(mark) = mark else { return reply::json(applied, &list.page(Vec::<api::Entry>::new(), None)) };
    let found = history::reading(&app, move |reader| read_on(reader, after, bound, mark, limit)).await?;
    reply::json(applied, &list.page(found.entries, found.next))
}

fn read_on(
    reader: &Reader,
    after: RecordNumber,
    bound: RecordNumber,
    mark: PageMark,
    limit: usize,
) -> Result<Found, Problem> {
    let mut found = Found::default();
    let first = page_start(page_of(after.saturating_add(1)));
    let last = bound.min(first.saturating_add(SCAN_RECORDS as u64));
    reader.fold_entries(first..=last, mark, |record, entry, digest| {
        if record.number <= after {
            return Ok(Flow::On);
        }
        Ok(found.take(record.number, || render::entry(&reader.ground, entry, digest), limit))
    })?;
    if last < bound && found.next.is_none() {
        found.next = Some(last);
    }
    Ok(found)
}

/// `GET /v1/sellers/{id}/entries`
pub async fn of_seller(State(app): State<App>, head: Head) -> Answer {
    let caller = Caller::of(&head, &app).await?;
    let seller = read::seller_of(&app, &head, &caller)?;
    let query = head.query(&["from", "to", "limit", "after"])?;
    let (from, to, limit) = (query.time("from")?, query.time("to")?, query.limit()?);
    let text = |time: Option<Time>| time.map(|time| time.0.to_string());
    let list = List::new("entries")
        .with("seller", Some(&seller.to_string()))
        .with("from", text(from).as_deref())
        .with("to", text(to).as_deref());
    let after = list.after(query.get("after"))?;
    read::fresh(&app, &head, &query).await?;
    let (applied, pages) = {
        let replica = read::state(&app, &caller)?;
        let state = &replica.state;
        let entries = &state.seller(seller).ok_or_else(Problem::not_found)?.entries;
        let first = from.map_or(1, |from| state.record_from(from)).max(after.saturating_add(1));
        let begin = entries.partition_point(|entry| entry.record() < first);
        let numbers = entries[begin..].iter().map(|entry| entry.record()).take(limit + SLACK);
        (replica.applied, by_page(numbers, |page| state.page_mark(page).copied())?)
    };
    let within = move |time: Time| from.is_none_or(|from| time >= from);
    let past = move |time: Time| to.is_some_and(|to| time >= to);
    let found = history::reading(&app, move |reader| {
        let mut found = Found::default();
        for page in pages {
            if read_page(reader, &page, &mut found, limit, within, past)? == Flow::Enough {
                break;
            }
        }
        Ok(found)
    });
    let found = found.await?;
    reply::json(applied, &list.page(found.entries, found.next))
}

/// Records of one page of the history that are wanted, with what holds before it.
struct Page {
    number: u64,
    mark: PageMark,
    wanted: Vec<RecordNumber>,
}

fn by_page(
    numbers: impl Iterator<Item = RecordNumber>,
    mark_of: impl Fn(u64) -> Option<PageMark>,
) -> Result<Vec<Page>, Problem> {
    let mut pages: Vec<Page> = Vec::new();
    for number in numbers {
        match pages.last_mut() {
            Some(page) if page.number == page_of(number) => page.wanted.push(number),
            Some(_) | None => {
                let missing = || Problem::internal(format_args!("record {number} is in no page"));
                let mark = mark_of(page_of(number)).ok_or_else(missing)?;
                pages.push(Page { number: page_of(number), mark, wanted: vec![number] });
            }
        }
    }
    Ok(pages)
}

fn read_page(
    reader: &Reader,
    page: &Page,
    found: &mut Found,
    limit: usize,
    within: impl Fn(Time) -> bool,
    past: impl Fn(Time) -> bool,
) -> Result<Flow, Problem> {
    let Some(last) = page.wanted.last() else { return Ok(Flow::On) };
    let mut flow = Flow::On;
    reader.fold_entries(page_start(page.number)..=*last, page.mark, |record, entry, digest| {
        if page.wanted.binary_search(&record.number).is_err() || !within(record.time) {
            return Ok(Flow::On);
        }
        flow = if past(record.time) {
            Flow::Enough
        } else {
            found.take(record.number, || render::entry(&reader.ground, entry, digest), limit)
        };
        Ok(flow)
    })?;
    Ok(flow)
}
