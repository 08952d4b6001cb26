//! A few things of old pages: the records of some, decoded, and the marks of more. What full pages hold never changes, so
//! nothing here grows stale.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ledger::{PageMark, Record};

/// Pages whose records are held: about 10 MB.
const PAGES: usize = 256;
/// Pages whose marks are held: about 1 MB. A search by time among a billion pages reads 30.
const MARKS: usize = 4_096;

/// The records of one full page.
pub(crate) type PageRecords = Arc<[Arc<Record>]>;

/// Something of each of some pages, by page number; what was put in first goes first.
#[derive(Debug)]
pub(crate) struct PageCache<T> {
    most: usize,
    pages: HashMap<u64, T>,
    order: VecDeque<u64>,
}

impl PageCache<PageRecords> {
    /// For the records of pages.
    pub(crate) fn of_records() -> Self {
        Self::new(PAGES)
    }
}

impl PageCache<PageMark> {
    /// For the marks of pages.
    pub(crate) fn of_marks() -> Self {
        Self::new(MARKS)
    }
}

impl<T> PageCache<T> {
    fn new(most: usize) -> Self {
        Self { most, pages: HashMap::new(), order: VecDeque::new() }
    }

    /// What is held of `page`.
    pub(crate) fn get(&self, page: u64) -> Option<&T> {
        self.pages.get(&page)
    }

    /// Takes in what `page` has.
    pub(crate) fn put(&mut self, page: u64, held: T) {
        if self.pages.insert(page, held).is_some() {
            return;
        }
        self.order.push_back(page);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.pages.remove(&oldest);
        }
    }
}
