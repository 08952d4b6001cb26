//! A list, page by page, under one filter.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use etebar_api::{MAX_PAGE, Page};

use crate::call::Call;
use crate::call::answer::Answer;
use crate::{Client, Error, Query};

/// Reads a list page by page, from its oldest item on. Holds one page at a time.
#[derive(Debug)]
pub struct Pager<T> {
    client: Client,
    query: Query,
    limit: u32,
    after: Option<String>,
    ended: bool,
    items: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pager<T> {
    /// `query` is the list's path and filter, without `limit` and `after`.
    pub(crate) fn new(client: Client, query: Query, limit: u32) -> Pager<T> {
        Pager { client, query, limit: limit.clamp(1, MAX_PAGE), after: None, ended: false, items: PhantomData }
    }

    /// Continues after this cursor, which an earlier page has as `next`.
    #[must_use]
    pub fn after(mut self, cursor: Option<String>) -> Pager<T> {
        self.after = cursor;
        self
    }

    /// Pages of at most this many items from here on, 1 to [`MAX_PAGE`].
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.clamp(1, MAX_PAGE);
    }

    /// The next page; `None` after the last one.
    pub async fn next_page(&mut self) -> Result<Option<Answer<Page<T>>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let path = self.query.clone().and("limit", self.limit).and_some("after", self.after.as_deref()).finish();
        let page: Answer<Page<T>> = self.client.fetch(&Call::get(path).slow()).await?;
        self.after.clone_from(&page.value.next);
        self.ended = page.value.next.is_none();
        Ok(Some(page))
    }
}
