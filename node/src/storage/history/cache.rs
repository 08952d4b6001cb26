//! A few full pages of old records, decoded. Full pages never change, so nothing here grows stale.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ledger::Record;

/// Pages held: about 10 MB.
const PAGES: usize = 256;

/// The records of one full page.
pub(crate) type PageRecords = Arc<[Arc<Record>]>;

/// Pages by number; the one put in first goes first.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    pages: HashMap<u64, PageRecords>,
    order: VecDeque<u64>,
}

impl PageCache {
    /// The records of `page`, if it is here.
    pub(crate) fn get(&self, page: u64) -> Option<&PageRecords> {
        self.pages.get(&page)
    }

    /// Takes a page in.
    pub(crate) fn put(&mut self, page: u64, records: PageRecords) {
        if self.pages.insert(page, records).is_some() {
            return;
        }
        self.order.push_back(page);
        if self.order.len() > PAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.pages.remove(&oldest);
        }
    }
}
