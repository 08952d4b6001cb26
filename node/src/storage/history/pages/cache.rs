//! A few things of old full pages: the checked bytes of some, and the marks of more. What full pages hold never changes, so
//! nothing here grows stale.
//!
//! The bytes are for what commands need of old records. Lists and other scans read past them, since they would fill them with
//! what is read once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ledger::PageMark;

/// Most bytes of pages held. Source: about 1,600 pages of charges, more than a batch of replays touches.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most marks held: about 1 MB. A search by time among a billion pages reads 30.
const MARKS_MAX: usize = 4_096;

/// Something of each of some pages, by page number; what was put in first goes first.
#[derive(Debug)]
pub(crate) struct PageCache<T> {
    /// Most of what `size` gives for all that is held.
    most: usize,
    size: fn(&T) -> usize,
    held: usize,
    pages: HashMap<u64, T>,
    order: VecDeque<u64>,
}

/// The bytes of one page.
pub(crate) type PageBytes = Arc<[u8]>;

impl PageCache<PageBytes> {
    /// For the bytes of pages.
    pub(crate) fn of_bytes() -> Self {
        Self::new(BYTES_MAX, |bytes| bytes.len())
    }
}

impl PageCache<PageMark> {
    /// For the marks of pages.
    pub(crate) fn of_marks() -> Self {
        Self::new(MARKS_MAX, |_| 1)
    }
}

impl<T: Clone> PageCache<T> {
    fn new(most: usize, size: fn(&T) -> usize) -> Self {
        Self { most, size, held: 0, pages: HashMap::new(), order: VecDeque::new() }
    }

    /// What is held of `page`.
    pub(crate) fn get(&self, page: u64) -> Option<T> {
        self.pages.get(&page).cloned()
    }

    /// Takes in what `page` has.
    pub(crate) fn put(&mut self, page: u64, new: T) {
        self.held += (self.size)(&new);
        match self.pages.insert(page, new) {
            Some(before) => self.held -= (self.size)(&before),
            None => self.order.push_back(page),
        }
        while self.held > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.held -= self.pages.remove(&oldest).map_or(0, |gone| (self.size)(&gone));
        }
    }
}
