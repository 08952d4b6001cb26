//! A page of a list: oldest first, at most `limit` items, and where to go on.

use serde::{Deserialize, Serialize};

/// Some items of a list. `next` is opaque: it goes back as `after`, with the same filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` where nothing follows at the moment.
    pub next: Option<String>,
}
