//! A page of a list: oldest first, at most `limit` items, and where it continues.

use serde::{Deserialize, Serialize};

/// Largest `limit` of a page, in items. Source: the contract.
pub const MAX_PAGE: u32 = 1_000;
/// `limit` of a page where none is given, in items. Source: the contract.
pub const DEFAULT_PAGE: u32 = 100;

/// Some items of a list. `next` is opaque: it goes back as `after`, with the same filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// At most `limit` of them, oldest first.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` where nothing follows yet.
    pub next: Option<String>,
}
