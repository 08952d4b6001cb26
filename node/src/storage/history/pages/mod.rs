//! Pages of the history: their bytes ([`page`]), the newest in memory ([`tail`]), some old ones in memory ([`cache`]), the marks
//! that stand before them ([`marks`]), and reading them in order ([`scan`]).

pub(crate) mod cache;
mod marks;
pub(crate) mod page;
pub(crate) mod scan;
pub(crate) mod tail;
