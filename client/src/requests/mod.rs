//! The requests of the HTTP contract as methods of [`Client`](crate::Client), and lists page by page.
//!
//! Each method checks that an answer belongs to its request, as far as the answer shows it.

mod administration;
mod charges;
mod members;
pub(crate) mod pager;
pub(crate) mod reads;
